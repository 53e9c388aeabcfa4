"""How many threads compute.

Two pools take turns here: Numba's, for the kernels, and the one of NumPy's BLAS, for products of matrices. Left to
themselves, the threads of both go on spinning for some milliseconds after their work is done and take the cores from
the other pool, which cost up to half the speed of a training step. The two settings below send them to sleep at once.
They must be made before either library starts its threads, which is why `nncore/__init__.py` calls `calm` first.
"""

import os

from threadpoolctl import threadpool_limits

from nncore.errors import OptionError


def calm() -> None:
    """Let idle threads sleep, unless the user's environment says otherwise."""
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # 2**4 clock ticks
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def available() -> int:
    """How many threads there may be: the cores this process may use, or NUMBA_NUM_THREADS where that is set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(os.environ.get("NUMBA_NUM_THREADS", cores))


def use(threads: int) -> None:
    """Compute with this many threads from now on, in the kernels and in BLAS alike."""
    if not 1 <= threads <= available():
        raise OptionError(f"--threads must be from 1 to {available()}, the cores of this machine, not {threads}")
    threadpool_limits(threads, user_api="blas")
    try:
        import numba
    except ImportError:
        return
    numba.set_num_threads(threads)
