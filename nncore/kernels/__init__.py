"""The fast level: arrays in, arrays out.

Each name below is a Numba kernel, or its plain twin from `reference` where Numba is missing or switched off. It is
loaded when it is first asked for: Numba takes a third of a second, for which no import of nncore should wait.
"""

import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nncore.kernels import reference

if TYPE_CHECKING:
    from nncore.kernels.reference import (
        adam,
        avg_pool,
        avg_pool_backward,
        batch_norm,
        batch_norm_backward,
        bernoulli,
        bias_relu,
        bias_relu_backward,
        channel_moments,
        col2im,
        draw_strokes,
        im2col,
        matmul,
        max_pool,
        max_pool_backward,
        thicken,
        warp,
    )

    NUMBA: bool

__all__ = [
    "NUMBA",
    "adam",
    "avg_pool",
    "avg_pool_backward",
    "batch_norm",
    "batch_norm_backward",
    "bernoulli",
    "bias_relu",
    "bias_relu_backward",
    "channel_moments",
    "col2im",
    "draw_strokes",
    "im2col",
    "matmul",
    "max_pool",
    "max_pool_backward",
    "thicken",
    "warp",
]

FILES = {
    "activation": ("bias_relu", "bias_relu_backward"),
    "batchnorm": ("batch_norm", "batch_norm_backward", "channel_moments"),
    "conv.columns": ("im2col", "col2im"),
    "dense": ("matmul",),
    "adam": ("adam",),
    "pooling": ("avg_pool", "avg_pool_backward", "max_pool", "max_pool_backward"),
    "random": ("bernoulli",),
    "strokes": ("draw_strokes",),
    "warping": ("thicken", "warp"),
}
"""Which file has which kernels. (A file has another name than any kernel: both would be attributes of this package.)"""

_not_waiting = ContextVar("not waiting for kernels", default=False)


def __getattr__(name: str) -> Any:
    """A kernel or NUMBA, on first use: Python asks here for what this module does not have yet."""
    if name == "NUMBA":
        value: Any = _numba_compiles()
    elif name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    elif _not_waiting.get():
        return getattr(reference, name)  # for this once
    elif _numba_compiles():
        (file,) = (file for file, names in FILES.items() if name in names)
        try:
            value = getattr(import_module(f"{__name__}.{file}"), name)
        except (ImportError, AttributeError):  # SIMD builds on parts of Numba that may change from version to version
            value = getattr(reference, name)
    else:
        value = getattr(reference, name)
    globals()[name] = value
    return value


def _numba_compiles() -> bool:
    try:
        import numba
    except ImportError:
        return False
    return not numba.config.DISABLE_JIT  # type: ignore[attr-defined]


_TURN = threading.RLock()


def turn() -> AbstractContextManager[Any]:
    """To be held around the use of kernels: a lock where Numba cannot run two of them at once, otherwise nothing.

    Its threading layer "workqueue", the last resort where neither OpenMP nor TBB is found, then ends the process.
    """
    return _TURN if not loaded() or _one_at_a_time() else nullcontext()


@functools.cache
def _one_at_a_time() -> bool:
    if not _numba_compiles():
        return False
    import numba

    numba.get_num_threads()  # starts them; before that, the layer is not chosen
    layer: str = numba.threading_layer()  # type: ignore[attr-defined]
    return layer == "workqueue"


@contextmanager
def without_waiting() -> Iterator[None]:
    """Within this block (and this thread), kernels that are not loaded yet are not waited for: their twins compute."""
    token = _not_waiting.set(True)
    try:
        yield
    finally:
        _not_waiting.reset(token)


def waits() -> bool:
    """Whether kernels that are not loaded yet are waited for: everywhere but in the block of `without_waiting`."""
    return not _not_waiting.get()


def loaded() -> bool:
    """Whether Numba is, which takes nearly all of the time."""
    return "numba" in sys.modules
