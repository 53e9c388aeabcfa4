"""How this process uses the machine: its threads and its memory.

Two pools of threads take turns here: Numba's, for the kernels, and the one of NumPy's BLAS, for products of matrices.
Left to themselves, the threads of both go on spinning for some milliseconds after their work is done and take the cores
from the other pool, which costs up to half the speed of a training step.

And the C library hands large arrays back to the system as soon as they are freed, only to ask for fresh pages, cleared
by the kernel, a moment later: another fifth of a training step.

`configure_threads_and_malloc` turns both habits off, for the whole process. Libraries read such settings when they are
loaded, so the programs of this project (`train_scratch.py`, `python -m nncore`, `python -m webdemo`) call it before
they import NumPy. Your own program may do the same; `import nncore` does not.
"""

import ctypes
import os
import sys

from nncore.errors import OptionError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of mallopt(3), glibc
KEEP_BYTES = 2**30
LARGE_BYTES = 4 * 2**20


def configure_threads_and_malloc() -> None:
    """Let idle threads sleep and keep freed memory for the next array. To be called before NumPy is imported.

    What the user's environment says about threads stays.
    """
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # 2**4 clock ticks
    if os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE") == "PASSIVE":
        # A sleeping thread takes 60 us to wake, which a training step would wait for twenty times: some 0.2 ms awake
        # bridge the gaps between kernels. Only GNU's library knows this one, and lets it overrule the other.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if _chosen_threads() is None:
        os.environ.pop("NUMBA_NUM_THREADS", None)  # Numba could not be imported with 0
    _set_malloc({M_MMAP_THRESHOLD: KEEP_BYTES, M_TRIM_THRESHOLD: KEEP_BYTES})


def configure_malloc_for_serving() -> None:
    """For a server, which works on small arrays mostly: give the memory of a large one back to the system after all.

    Its many threads share two heaps: each would else keep one of its own, as large as the largest picture it read.
    """
    _set_malloc({M_MMAP_THRESHOLD: LARGE_BYTES, M_TRIM_THRESHOLD: 4 * LARGE_BYTES, M_ARENA_MAX: 2})


def _set_malloc(settings: dict[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # musl has none
        for name, value in settings.items():
            mallopt(name, value)


def available_threads() -> int:
    """How many threads there may be: the cores this process may use, or NUMBA_NUM_THREADS where that is set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _chosen_threads() or cores


def _chosen_threads() -> int | None:
    """NUMBA_NUM_THREADS, where that is a number above 0."""
    try:
        chosen = int(os.environ.get("NUMBA_NUM_THREADS", ""))
    except ValueError:
        return None
    return chosen if chosen > 0 else None


def use_threads(threads: int, blas: int | None = None) -> None:
    """Compute with this many threads from now on: in the kernels that this thread calls, and in BLAS.

    Where the kernels do nearly all the work, BLAS should have one thread (`blas`): its others, once it has called them,
    take the cores from the kernels for a while, which was measured to double the time of a backward pass.

    To be called from the main thread: what OpenBLAS 0.3.31 was told by another, nobody can raise any more.
    """
    if not 1 <= threads <= available_threads():
        raise OptionError(f"threads must be from 1 to {available_threads()}, the cores of this machine, not {threads}")
    use_blas_threads(threads if blas is None else blas)
    use_kernel_threads(threads)


def use_blas_threads(threads: int) -> None:
    """The same for BLAS alone."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")


def use_kernel_threads(threads: int) -> None:
    """The same for kernels alone, whose number of threads is each calling thread's own. Imports Numba."""
    try:
        import numba
    except ImportError:
        return
    numba.set_num_threads(threads)
