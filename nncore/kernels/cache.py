"""Where Numba keeps compiled kernels from one run to the next.

It stores them beside the source or, where that may not be written, in the user's cache folder, and refuses to import a
kernel that asks to be kept if neither can be written: in a container run by a user without a home, for instance. Then
they go to the folder for temporary files, or are compiled anew in every run.

Numba sees that a kernel's own file has changed, but not the files of what it calls. Hence only kernels that Python
calls are kept, and those that use other files of this folder take a `simd.Constant`, whose type changes with them.
"""

import os
import tempfile
import warnings
from pathlib import Path

import numba


def _probe() -> None:
    """Something to keep."""


def find_cache() -> bool:
    """Whether compiled kernels can be kept; NUMBA_CACHE_DIR is changed, with a warning, if they cannot be otherwise."""
    for folder in (None, Path(tempfile.gettempdir(), f"nncore-kernels-{getattr(os, 'getuid', int)()}")):
        if folder:
            numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
        try:
            numba.njit(cache=True)(_probe)
        except RuntimeError:
            continue
        if folder:
            warnings.warn(f"the kernels' folder cannot be written: compiled kernels are kept in {folder}", stacklevel=2)
        return True
    warnings.warn("no folder can be written: kernels are compiled anew in every run", stacklevel=2)
    return False


CACHE = find_cache()
