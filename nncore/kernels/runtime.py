"""How kernels are compiled: the decorator `kernel`, and the folder in which Numba keeps what it has compiled.

Numba notices when a kernel's own file has changed, but not the files of what it calls. So the folder is named after a
hash of all sources of this package: a change anywhere compiles anew. What lies in the folder is unpickled, which can
run any code; a folder that others can write to is not used.
"""

import hashlib
import os
import shutil
import stat
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, overload

import numba
import platformdirs

Function = TypeVar("Function", bound=Callable[..., Any])

PACKAGE = Path(__file__).parent
_COMPILED: list[Any] = []  # what has an address: if it were collected, so would be the code
_SETTING = threading.Lock()  # held while numba.config.CACHE_DIR is another than the user's
CONTRACT = {"contract"}  # a product and the sum that takes it may become one instruction, with one rounding


@overload
def kernel(function: Function) -> Function: ...
@overload
def kernel(*, cached: bool = True, contract: bool = False) -> Callable[[Function], Function]: ...
def kernel(function: Any = None, *, cached: bool = True, contract: bool = False) -> Any:
    """Decorate a function that Numba is to compile when it is first called, for each combination of types.

    One that uses `prange` runs in parallel. No division is checked for zero, which SIMD code could not do.

    cached: keep what is compiled for later processes. To be False where only other kernels call the function, whose
    own code then holds it. contract: let a product and a sum become one instruction, as `simd` does anyway.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        parallel = "prange" in function.__code__.co_names
        fastmath = contract and CONTRACT
        options: dict[str, Any] = {"parallel": parallel, "nogil": True, "error_model": "numpy", "fastmath": fastmath}
        with _kept_in_cache() as kept:
            return numba.njit(cache=cached and kept, **options)(function)

    return decorate if function is None else decorate(function)


def compiled_address(function: Callable[..., None]) -> int:
    """Compile a function of 64-bit numbers and return where its code is, for kernels to call.

    The code stays there until the process ends.
    """
    numbers = [numba.types.intp] * function.__code__.co_argcount
    with _kept_in_cache() as kept:
        compiled: Any = numba.cfunc(numba.types.void(*numbers), cache=kept, error_model="numpy")(function)
    _COMPILED.append(compiled)
    return int(compiled.address)


@contextmanager
def _kept_in_cache() -> Iterator[bool]:
    """While it lasts, what is made is kept in CACHE: whether there is one. The setting is the whole process's."""
    with _SETTING:
        before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
        numba.config.CACHE_DIR = str(CACHE) if CACHE else before  # type: ignore[attr-defined]
        try:
            yield CACHE is not None
        finally:
            numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


def find_cache() -> Path | None:
    """The folder for compiled kernels, made if need be: the first of several that can be written.

    That is below NUMBA_CACHE_DIR, where the user has set it; else beside the sources, in the user's cache, or in the
    folder for temporary files. Warns where it is the last, and where there is none: then it is None.
    """
    chosen, name = numba.config.CACHE_DIR, f"numba-{_hash()}"  # type: ignore[attr-defined]
    own = [PACKAGE / "__pycache__", Path(platformdirs.user_cache_dir("nncore"))]
    for place in [Path(chosen)] if chosen else own:
        if _make(place / name):
            _remove_others(place / name)
            return place / name
    place = Path(tempfile.gettempdir(), f"nncore-kernels-{_user()}")
    if _is_private(place) and _make(place / name):
        warnings.warn(f"the kernels' folder cannot be written: compiled kernels are kept in {place}", stacklevel=2)
        return place / name
    warnings.warn("no folder of this user can be written: kernels are compiled anew in every run", stacklevel=2)
    return None


def _hash() -> str:
    files = sorted(PACKAGE.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _make(folder: Path) -> bool:
    """Whether the folder is there, made if need be, and files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _remove_others(folder: Path) -> None:
    """Delete what was compiled from other sources, where it lies beside these sources."""
    if folder.parent == PACKAGE / "__pycache__":
        for other in folder.parent.glob("numba-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)


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
