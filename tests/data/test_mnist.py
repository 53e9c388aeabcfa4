import gzip
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from nncore.data.idx import write_idx
from nncore.data.mnist import FILES, MIRRORS, MNIST, download, given_folder, load_mnist
from nncore.errors import DataError

REAL = os.environ.get("NNCORE_DATA")
NAMES = list(FILES)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNCORE_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def digits(rng: np.random.Generator) -> list[np.ndarray]:
    """The four arrays of a very small MNIST, in the order of FILES."""
    return [
        rng.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        rng.integers(0, 10, 5, dtype=np.uint8),
        rng.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        rng.integers(0, 10, 3, dtype=np.uint8),
    ]


@pytest.fixture
def folder(tmp_path: Path, digits: list[np.ndarray]) -> Path:
    for name, array in zip(NAMES, digits, strict=True):
        write_idx(tmp_path / "given" / name, array)
    return tmp_path / "given"


@pytest.fixture
def files(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in NAMES}


def check(loaded: MNIST, digits: list[np.ndarray]) -> None:
    for got, expected in zip(loaded[:4], digits, strict=True):
        assert got.dtype == np.uint8
        assert np.array_equal(got, expected)


# A folder that was given


@pytest.mark.parametrize("given", ["argument", "environment", "both"])
def test_a_given_folder_is_read(
    folder: Path, tmp_path: Path, digits: list[np.ndarray], given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given != "argument":
        monkeypatch.setenv("NNCORE_DATA", str(folder if given == "environment" else tmp_path / "elsewhere"))
    loaded = load_mnist(None if given == "environment" else folder, mirrors=())
    check(loaded, digits)
    assert str(folder) in loaded.source


def test_given_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_folder(None) is None
    monkeypatch.setenv("NNCORE_DATA", "")
    assert given_folder(None) is None
    monkeypatch.setenv("NNCORE_DATA", "~/digits")
    assert given_folder(None) == Path.home() / "digits"
    assert given_folder(Path("here")) == Path("here")


def test_the_source_says_whether_the_bytes_are_the_original(folder: Path, files: dict[str, str]) -> None:
    assert "original files" in load_mnist(folder, files=files).source
    assert "not verified" in load_mnist(folder).source


def test_unpacked_files_will_do(folder: Path, digits: list[np.ndarray]) -> None:
    for name in NAMES[:3]:
        (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress((folder / name).read_bytes()))
        (folder / name).unlink()
    check(load_mnist(folder), digits)


def test_missing_files_are_all_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / NAMES[0]).unlink()
    (folder / NAMES[3]).unlink()
    with pytest.raises(DataError, match=rf"--data-dir\) lacks {NAMES[0]}, {NAMES[3]}\. Put .* there") as caught:
        load_mnist(folder)
    assert str(folder) in str(caught.value)
    monkeypatch.setenv("NNCORE_DATA", str(folder / "nowhere"))
    with pytest.raises(DataError, match=rf"NNCORE_DATA\) lacks {', '.join(NAMES)}\."):
        load_mnist()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (NAMES[0], lambda images: images[:, 1:], r"expected images of shape \(N, 28, 28\), found \(5, 27, 28\)"),
        (NAMES[0], lambda images: images[:0], r"expected images .*found \(0, 28, 28\)"),
        (NAMES[2], lambda images: images.reshape(3, -1), r"expected images .*found \(3, 784\)"),
        (NAMES[1], lambda labels: labels[1:], r"expected one label for each of 5 images, found \(4,\)"),
        (NAMES[3], lambda labels: labels[:, None], r"expected one label for each of 3 images, found \(3, 1\)"),
        (NAMES[3], lambda labels: labels + np.uint8(10), "expected labels from 0 to 9, found 1[0-9]"),
    ],
)
def test_data_that_is_not_mnist_shaped_is_refused(
    folder: Path,
    digits: list[np.ndarray],
    name: str,
    change: Callable[[np.ndarray], np.ndarray],
    message: str,
) -> None:
    write_idx(folder / name, change(digits[NAMES.index(name)]))
    with pytest.raises(DataError, match=message) as caught:
        load_mnist(folder)
    assert str(folder / name) in str(caught.value)


def test_a_damaged_file_in_a_given_folder_is_an_error(folder: Path) -> None:
    (folder / NAMES[1]).write_bytes(b"<html>Sign in to this network</html>")
    with pytest.raises(DataError, match="web page"):
        load_mnist(folder)


def test_a_given_folder_that_cannot_be_read_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", forbidden)  # and not chmod, which does not stop a test run by root
    with pytest.raises(DataError, match=r"given by --data-dir\) cannot be read: .*Permission denied") as caught:
        load_mnist(folder)
    assert str(folder) in str(caught.value)


# Downloads, from mirrors that misbehave. A mirror's address ends in what it does.


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Mirror)
        self.folder = folder
        self.requests: list[str] = []
        self.over = threading.Event()
        self.both = threading.Barrier(2, timeout=60)

    def mirror(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{behaviour}/"


class Mirror(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        _, behaviour, name = self.path.split("/")
        body = (self.server.folder / name).read_bytes()
        if behaviour.isdigit():
            self.send_error(int(behaviour))
        elif behaviour == "together":
            self.server.both.wait()
            self.answer(body, len(body))
        elif behaviour == "page":
            page = b"<!DOCTYPE html><title>Sign in to this network</title>"
            self.answer(page, len(page))
        elif behaviour == "short":
            self.answer(body[:-5], len(body) - 5)
        elif behaviour == "cut":
            self.answer(body[:-5], len(body))
        elif behaviour == "wrong":
            self.answer(body[:-1] + bytes([body[-1] ^ 1]), len(body))
        elif behaviour == "senseless":
            self.answer(body, "many")
        elif behaviour == "silent":
            self.server.over.wait(10)
        elif behaviour == "stalled":
            self.answer(body[:-5], len(body))
            self.server.over.wait(10)
        elif behaviour == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif behaviour == "circle":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        else:
            self.answer(body, len(body))

    def answer(self, body: bytes, length: int | str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def refusing() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/"  # nobody listens there any more


def test_the_cache_is_the_users(
    server: Server, tmp_path: Path, digits: list[np.ndarray], files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / name))
    check(load_mnist(mirrors=(server.mirror("good"),), files=files), digits)
    assert sorted(path.name for path in (tmp_path / "nncore" / "mnist").iterdir()) == sorted(NAMES)


FAULTS = {
    "404": "404 Client Error",
    "500": "500 Server Error",
    "page": r"it sent 53 bytes that look like a web page \(HTML\)",
    "short": "wrong SHA-256: it sent [0-9,]+ bytes that look like gzip",
    "cut": "IncompleteRead|5 more expected",
    "wrong": "wrong SHA-256",
    "senseless": "many",
    "silent": "timed out",
    "stalled": "timed out",
    "reset": "reset by peer",
    "circle": "30 redirects",
}


def test_files_are_downloaded_once_and_in_silence(
    server: Server, tmp_path: Path, digits: list[np.ndarray], files: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "deep" / "cache"
    for _ in range(2):
        loaded = load_mnist(None, cache, (server.mirror("good").rstrip("/"),), files)
        check(loaded, digits)
        assert loaded.source == f"MNIST from {cache}, the original files"
    assert server.requests == [f"/good/{name}" for name in NAMES]
    assert sorted(path.name for path in cache.iterdir()) == sorted(NAMES)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_mirror_is_passed_over(server: Server, tmp_path: Path, files: dict[str, str], fault: str) -> None:
    download(tmp_path / "cache", (server.mirror(fault), server.mirror("good")), files, timeout=(0.5, 0.2))
    for name in NAMES:
        assert (tmp_path / "cache" / name).read_bytes() == (server.folder / name).read_bytes()
    assert len(list((tmp_path / "cache").iterdir())) == 4
    # The mirror that worked is asked first from then on, so a slow failure is waited for once.
    assert [request for request in server.requests if "good" not in request] == [f"/{fault}/{NAMES[0]}"] * (
        31 if fault == "circle" else 1
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_explained_and_leaves_nothing_behind(
    server: Server, tmp_path: Path, files: dict[str, str], fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match=FAULTS[fault]) as caught:
        download(tmp_path / "cache", (server.mirror(fault),), files, timeout=(0.5, 0.2))
    assert server.mirror(fault) in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_when_every_mirror_fails_each_is_named_with_its_reason(
    server: Server, tmp_path: Path, files: dict[str, str], refusing: str
) -> None:
    mirrors = (server.mirror("404"), refusing, server.mirror("page"))
    with pytest.raises(DataError) as caught:
        load_mnist(None, tmp_path / "cache", mirrors, files)
    message = str(caught.value)
    for mirror, reason in zip(mirrors, ["404 Client Error", "Connection refused", "a web page"], strict=True):
        (line,) = [line for line in message.splitlines() if mirror in line]
        assert reason in line
    for advice in ("--data-dir", "NNCORE_DATA", *NAMES):
        assert advice in message
    # One file was enough to see that no mirror answers: the other three were not waited for.
    assert server.requests == [f"/404/{NAMES[0]}", f"/page/{NAMES[0]}"]


@pytest.mark.parametrize("damage", [b"", b"<html>", None])
def test_a_damaged_cached_file_is_downloaded_again(
    server: Server, folder: Path, tmp_path: Path, digits: list[np.ndarray], files: dict[str, str], damage: bytes | None
) -> None:
    cache = tmp_path / "cache"
    download(cache, (server.mirror("good"),), files)
    sound = (folder / NAMES[2]).read_bytes()
    (cache / NAMES[2]).write_bytes(sound[:-1] if damage is None else damage)
    server.requests.clear()
    check(load_mnist(None, cache, (server.mirror("good"),), files), digits)
    assert server.requests == [f"/good/{NAMES[2]}"]
    assert (cache / NAMES[2]).read_bytes() == sound


def test_a_download_that_broke_off_goes_on_with_what_is_missing(
    server: Server, tmp_path: Path, files: dict[str, str]
) -> None:
    wanted_otherwise = {**files, NAMES[2]: "0" * 64}
    with pytest.raises(DataError, match=NAMES[2]):
        download(tmp_path / "cache", (server.mirror("good"),), wanted_otherwise)
    server.requests.clear()
    download(tmp_path / "cache", (server.mirror("good"),), files)
    assert server.requests == [f"/good/{name}" for name in NAMES[2:]]


def test_a_cache_that_cannot_be_written_is_explained(server: Server, tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "file").touch()
    taken = tmp_path / "cache" / NAMES[0]  # a folder where the file should be
    (taken / "inside").mkdir(parents=True)
    for cache in (tmp_path / "file" / "cache", tmp_path / "cache"):
        with pytest.raises(DataError, match=r"cannot be used .*Make it writable, or put .*NNCORE_DATA") as caught:
            load_mnist(None, cache, (server.mirror("good"),), files)
        assert str(cache) in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == [taken]


def test_two_processes_may_fill_one_cache_at_once(
    server: Server, tmp_path: Path, digits: list[np.ndarray], files: dict[str, str]
) -> None:
    program = (
        "from pathlib import Path; from nncore.data.mnist import load_mnist; "
        f"print(load_mnist(None, Path({str(tmp_path / 'cache')!r}), {(server.mirror('together'),)!r}, {files!r})[1])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    # The mirror answers each request only when the other process has asked too, so they are in step file by file.
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.communicate(timeout=60) == (f"{digits[1]}\n", "")
        assert process.returncode == 0
    assert len(server.requests) == 8
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(NAMES)
    check(load_mnist(None, tmp_path / "cache", (), files), digits)


def test_a_full_disk_leaves_no_half_file(
    server: Server, tmp_path: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        download(tmp_path / "cache", (server.mirror("good"),), files)
    assert list((tmp_path / "cache").iterdir()) == []


def test_three_mirrors_by_secure_addresses() -> None:
    assert len(set(MIRRORS)) == 3
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in MIRRORS)


@pytest.mark.skipif(REAL is None, reason="NNCORE_DATA names no folder with the real MNIST")
def test_the_real_mnist() -> None:
    loaded = load_mnist(Path(str(REAL)))
    assert loaded.source.endswith("the original files")
    assert loaded.train_images.shape == (60_000, 28, 28)
    assert loaded.test_images.shape == (10_000, 28, 28)
    # How many of each digit, as everyone who has counted them reports.
    assert np.bincount(loaded.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(loaded.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert loaded.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert round(loaded.train_images.mean() / 255, 4) == 0.1307
    assert round(loaded.train_images.std() / 255, 4) == 0.3081
