"""The fast level: arrays in, arrays out, compiled by Numba.

What a kernel must compute is defined elsewhere, in plain NumPy: by the layers, and by the functions that `accelerated`
marks. So everything runs without Numba as well, slower. The kernels are imported when they are first needed, because
to import Numba takes a third of a second.
"""

import functools
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


@functools.cache
def available() -> bool:
    """Whether there are kernels: Numba can be imported, and may compile (NUMBA_DISABLE_JIT is not set)."""
    try:
        import numba

        import nncore.kernels.conv.winograd  # noqa: F401  the SIMD parts use what may change between Numba's versions
    except (ImportError, AttributeError):
        return False
    return not numba.config.DISABLE_JIT  # type: ignore[attr-defined]


def imported() -> bool:
    """Whether this process has imported Numba, which takes longer than to predict a few images without it."""
    return "numba" in sys.modules


def accelerated(module: str) -> Callable[[Function], Function]:
    """Mark a function as a definition: where there are kernels, its namesake in that module of this package computes.

    The definition itself stays within reach as `__wrapped__`.
    """

    def mark(definition: Function) -> Function:
        @functools.cache
        def fastest() -> Callable[..., Any]:
            return getattr(import_module(f"{__name__}.{module}"), definition.__name__) if available() else definition

        @functools.wraps(definition)
        def function(*arguments: Any) -> Any:
            return fastest()(*arguments)

        return cast(Function, function)

    return mark


_TURN = threading.RLock()


def turn() -> AbstractContextManager[Any]:
    """To be held while kernels run: a lock where Numba cannot run two of them at once, otherwise nothing.

    Its threading layer "workqueue", the last resort where neither OpenMP nor TBB is found, then ends the process.
    """
    return _TURN if available() and _one_at_a_time() else nullcontext()


@functools.cache
def _one_at_a_time() -> bool:
    import numba

    numba.get_num_threads()  # starts them; before that, the layer is not chosen
    layer: str = numba.threading_layer()  # type: ignore[attr-defined]
    return layer == "workqueue"
