"""A bounded number of visitors, and none waits for ever."""

import threading

import pytest
from werkzeug.exceptions import ServiceUnavailable

from nncore.errors import DataError
from webdemo.server import service
from webdemo.server.service import ReadingService


class SlowReader:
    """Stands in for a DigitReader: holds every picture until told to let go."""

    def __init__(self) -> None:
        self.network = self
        self.release = threading.Event()
        self.entered = threading.Semaphore(0)
        self.inside = self.most_inside = 0
        self.lock = threading.Lock()

    def warm_up(self) -> None:
        """As a network does."""

    def read(self, picture):
        if picture.getvalue().startswith(b"\x89PNG"):  # the first digit, at the start
            return []
        if picture.getvalue() == b"damaged":
            raise DataError("damaged")
        with self.lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.entered.release()
        self.release.wait(10)
        with self.lock:
            self.inside -= 1
        return [picture.getvalue()]


@pytest.fixture
def slow():
    reader = SlowReader()
    yield reader
    reader.release.set()


def visit(reading: ReadingService, count: int) -> tuple[list[threading.Thread], list[object]]:
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(reading.read(b"picture"))
        except ServiceUnavailable as error:
            answers.append(error)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, answers


def test_no_more_are_read_at_once_than_allowed(slow):
    reading = ReadingService(slow, threads=3)
    threads, answers = visit(reading, 12)
    for _ in range(3):
        assert slow.entered.acquire(timeout=5)
    assert not slow.entered.acquire(timeout=0.1)
    slow.release.set()
    for thread in threads:
        thread.join(5)
    assert slow.most_inside == 3
    assert answers == [[b"picture"]] * 12


def test_one_too_many_is_turned_away_at_once(slow, monkeypatch):
    monkeypatch.setattr(service, "MAX_WAITING", 4)
    reading = ReadingService(slow, threads=1)
    threads, answers = visit(reading, 5)
    for _ in range(100):
        if answers:
            break
        threading.Event().wait(0.02)
    (refused,) = answers
    assert isinstance(refused, ServiceUnavailable)
    assert refused.retry_after == service.RETRY_AFTER
    slow.release.set()
    for thread in threads:
        thread.join(5)
    assert answers[1:] == [[b"picture"]] * 4


def test_who_waits_too_long_is_told_to_try_again(slow, monkeypatch):
    monkeypatch.setattr(service, "PATIENCE", 0.05)
    reading = ReadingService(slow, threads=1)
    assert reading.ready.wait(5)
    threads, _ = visit(reading, 1)
    assert slow.entered.acquire(timeout=5)
    with pytest.raises(ServiceUnavailable, match="more pictures"):
        reading.read(b"picture")
    slow.release.set()
    threads[0].join(5)
    assert reading.read(b"picture") == [b"picture"]


def test_who_waits_while_the_kernels_are_compiled_is_told_so(slow, monkeypatch):
    monkeypatch.setattr(service, "PATIENCE", 0.05)
    monkeypatch.setattr(slow, "warm_up", lambda: slow.release.wait(10))
    reading = ReadingService(slow, threads=1)
    with pytest.raises(ServiceUnavailable, match="is compiling"):
        reading.read(b"picture")
    slow.release.set()
    assert reading.ready.wait(5)
    monkeypatch.setattr(service, "PATIENCE", 5)
    assert reading.read(b"picture") == [b"picture"]


def test_a_damaged_picture_gives_its_place_back(slow, monkeypatch):
    monkeypatch.setattr(service, "MAX_WAITING", 2)
    slow.release.set()
    reading = ReadingService(slow, threads=1)
    for _ in range(5):
        with pytest.raises(DataError):
            reading.read(b"damaged")
    assert reading.read(b"picture") == [b"picture"]


def test_it_says_when_it_is_ready(slow):
    assert ReadingService(slow, threads=1).ready.wait(5)
