"""Where Numba keeps compiled kernels from one run to the next.

It stores them beside the source or, where that may not be written, in the user's cache folder, and refuses to import a
kernel that asks to be kept if neither can be written: in a container run by a user without a home, for instance. Then
they go to the folder for temporary files, or are compiled anew in every run. What lies there is unpickled, which can
run any code: only a folder that nobody else can write to is used.

Numba sees that a kernel's own file has changed, but not the files of what it calls. Hence only kernels that Python
calls are kept, and those that use other files of this folder take a `simd.Constant`, whose type changes with them.
"""

import os
import stat
import tempfile
import warnings
from pathlib import Path

import numba


def _probe() -> None:
    """Something to keep."""


def find_cache() -> bool:
    """Whether compiled kernels can be kept; NUMBA_CACHE_DIR is changed, with a warning, if they cannot be otherwise."""
    for folder in (None, Path(tempfile.gettempdir(), f"nncore-kernels-{_user()}")):
        if folder:
            if not _is_private(folder):
                continue
            numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
        try:
            numba.njit(cache=True)(_probe)
        except RuntimeError:
            continue
        if folder:
            warnings.warn(f"the kernels' folder cannot be written: compiled kernels are kept in {folder}", stacklevel=2)
        return True
    warnings.warn("no folder of this user can be written: kernels are compiled anew in every run", stacklevel=2)
    return False


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # Windows has none, and 0 as the owner of every file


def _is_private(folder: Path) -> bool:
    """Whether this is a folder, made if need be, in which only this user can put something."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()  # of a link itself, which may be another user's
    except OSError:
        return False
    writable_by_others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == _user() and not writable_by_others


CACHE = find_cache()
