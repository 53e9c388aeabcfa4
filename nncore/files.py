"""Writing a file whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nncore.errors import NNCoreError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file to write to, which takes the place of `path` when the block ends without an error.

    Whoever reads `path` sees the old file or the new one, never half of one, even if the process is killed: the bytes
    go to a temporary file beside it, reach the disk, and are then renamed over it (POSIX rename is atomic).
    Raises OSError where that cannot be done; a folder or a device of that name is never replaced.
    """
    path = Path(path)
    descriptor, temporary = _temporary_beside(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def check_writable(path: str | Path) -> None:
    """Raise NNCoreError unless `atomic_write` can write to `path`: better known before hours of work than after."""
    try:
        descriptor, temporary = _temporary_beside(Path(path))
    except OSError as error:
        raise NNCoreError(f"{path} cannot be written: {error.strerror or error}") from None
    os.close(descriptor)
    os.unlink(temporary)


def _temporary_beside(path: Path) -> tuple[int, str]:
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "a folder or device has this name", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
