"""MNIST: 70,000 handwritten digits, found on this machine or downloaded.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", 1998.
"""

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import platformdirs

from nncore.data.idx import kind, read_idx
from nncore.errors import DataError
from nncore.files import atomic_write
from nncore.types import Bytes

FILES = {  # name: SHA-256
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
# All three serve the original bytes; the first home, yann.lecun.com, turns programs away.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
TIMEOUT = (3.0, 15.0)  # seconds until connected (to each of a host's addresses), and between two pieces of the answer


class MNIST(NamedTuple):
    """Images uint8 (N, 28, 28) with bright ink, labels uint8 (N,) from 0 to 9, and where they came from."""

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes
    source: str


def load_mnist(
    data_dir: str | Path | None = None,
    cache_dir: Path | None = None,
    mirrors: tuple[str, ...] = MIRRORS,
    files: Mapping[str, str] = FILES,
) -> MNIST:
    """MNIST from `data_dir`, else from the folder that NNCORE_DATA names, else from the cache, filled by download.

    A folder that was given must hold the four files, packed or not; any data in MNIST's format will do, so that
    people can bring their own. In the cache (by default the user's cache directory) only the original bytes count.
    Raises DataError, which says what is missing or wrong and what to do.
    """
    folder = given_folder(data_dir)
    if folder is None:
        folder = cache_dir or Path(platformdirs.user_cache_dir("nncore")) / "mnist"
        download(folder, mirrors, files)
        return _read([folder / name for name in files], f"MNIST from {folder}, the original files")
    origin = f"{folder} (given by {'NNCORE_DATA' if data_dir is None else '--data-dir'})"
    try:
        paths = [_packed_or_not(folder / name) for name in files]
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise DataError(
                f"{origin} lacks {', '.join(missing)}. Put MNIST's four files there, with or without .gz, or give no "
                f"folder: then MNIST is downloaded."
            )
        original = all(_sha256(path.read_bytes()) == files.get(path.name) for path in paths)
    except OSError as error:
        raise DataError(f"{origin} cannot be read: {error}") from error
    verdict = "MNIST from {}, the original files" if original else "data in MNIST's format from {}, not verified"
    return _read(paths, verdict.format(folder))


def given_folder(data_dir: str | Path | None) -> Path | None:
    """The folder the user asked for, by argument or by NNCORE_DATA, if any."""
    chosen = data_dir or os.environ.get("NNCORE_DATA")
    return Path(chosen).expanduser() if chosen else None


def download(
    folder: Path,
    mirrors: tuple[str, ...] = MIRRORS,
    files: Mapping[str, str] = FILES,
    timeout: tuple[float, float] = TIMEOUT,
) -> None:
    """Make `folder` hold every file of `files` with its SHA-256, fetching those that are missing or damaged.

    The mirrors are tried in turn. A file appears whole or not at all, so any number of processes may do this at once.
    Raises DataError if a file cannot be had from any mirror or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, sha256 in files.items():
            path = folder / name
            if path.is_file() and _sha256(path.read_bytes()) == sha256:
                continue
            data, mirrors = _fetch(name, sha256, mirrors, timeout)
            with atomic_write(path) as file:
                file.write(data)
    except OSError as error:
        raise DataError(
            f"The cache folder {folder} cannot be used ({error}). Make it writable, or put {', '.join(FILES)} into "
            f"another folder and name that by --data-dir or NNCORE_DATA."
        ) from error


def _fetch(
    name: str, sha256: str, mirrors: tuple[str, ...], timeout: tuple[float, float]
) -> tuple[bytes, tuple[str, ...]]:
    """The file's bytes from the first mirror that has them, and the mirrors with that one first for the next file."""
    # Here, because most runs find the files and need not wait for these imports.
    import pooch
    from tqdm import tqdm

    failures = []
    for i, mirror in enumerate(mirrors):
        url = mirror.rstrip("/") + "/" + name
        received = io.BytesIO()
        try:
            # total=1 only until pooch knows the length; disable=None means a bar on terminals and nowhere else.
            with tqdm(desc=name, total=1, unit="B", unit_scale=True, leave=False, disable=None) as bar:
                pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16, timeout=timeout)(url, received, None)
        except (OSError, ValueError) as error:  # requests raises OSErrors, and ValueError for a senseless header
            failures.append(f"{url}: {_first_cause(error)}")
            continue
        data = received.getvalue()
        if _sha256(data) == sha256:
            return data, mirrors[i:] + mirrors[:i]
        failures.append(f"{url}: wrong SHA-256: it sent {len(data):,} bytes that look like {kind(data[:64])}")
    raise DataError(
        "MNIST could not be downloaded:\n  "
        + "\n  ".join(failures)
        + "\nTry again with a network, or get these files by other means, put them into one folder and name it by "
        + "--data-dir or NNCORE_DATA: "
        + ", ".join(FILES)
    )


def _first_cause(error: BaseException) -> str:
    # What requests raises wraps what happened three times, each wrapping longer than the last.
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or repr(error)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _packed_or_not(path: Path) -> Path:
    unpacked = path.with_suffix("")
    return unpacked if unpacked.is_file() and not path.is_file() else path


def _read(paths: list[Path], source: str) -> MNIST:
    train_images, train_labels, test_images, test_labels = (read_idx(path) for path in paths)
    for images, labels, names in (
        (train_images, train_labels, paths[:2]),
        (test_images, test_labels, paths[2:]),
    ):
        if images.shape[1:] != (28, 28) or len(images) == 0:
            raise DataError(f"{names[0]}: expected images of shape (N, 28, 28), found {images.shape}")
        if labels.shape != images.shape[:1]:
            raise DataError(f"{names[1]}: expected one label for each of {len(images)} images, found {labels.shape}")
        if labels.max() > 9:
            raise DataError(f"{names[1]}: expected labels from 0 to 9, found {labels.max()}")
    return MNIST(train_images, train_labels, test_images, test_labels, source)
