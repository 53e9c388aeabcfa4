"""Reading pictures for many visitors: a few at a time, a bounded number waiting, nobody for ever."""

import io
import logging
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any, TypeVar

from PIL import Image, ImageDraw
from werkzeug.exceptions import ServiceUnavailable

from nncore.machine import use_blas_threads, use_kernel_threads
from nncore.reading.reader import DigitReader, Reading

MAX_WAITING = 128  # pictures accepted and not yet answered
PATIENCE = 10.0  # seconds until one that waits is given up
RETRY_AFTER = 1  # seconds until a refused visitor should try again
SEVEN = ((90, 80), (190, 80), (120, 220))

log = logging.getLogger("webdemo")

Result = TypeVar("Result")


class ReadingService:
    """Reads pictures for any number of threads, in `threads` threads of its own.

    Each of these computes alone: a single digit is read in a millisecond, in which a second core helps little, and
    where that core is busy, with the visitor's browser for instance, waiting for it takes thirty times as long.

    Attributes:
        reader: what reads them.
        ready: set when the kernels are compiled; until then a picture takes longer.
    """

    def __init__(self, reader: DigitReader, threads: int) -> None:
        self.reader = reader
        self.ready = threading.Event()
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        use_blas_threads(1)
        self._pool = futures.ThreadPoolExecutor(threads, "reader", initializer=use_kernel_threads, initargs=(1,))
        self._pool.submit(self._warm_up)

    def _warm_up(self) -> None:
        """Read a first digit, so that no visitor waits while Numba compiles; meanwhile the page is served already."""
        try:
            self.reader.warm_up()
            self.reader.read(_drawn_seven())
        except Exception:
            log.exception("the first digit could not be read")
        else:
            self.ready.set()

    def read(self, picture: bytes) -> list[Reading]:
        """The digits of a picture file. DataError where it is none, ServiceUnavailable (503) where too many wait."""
        return self.compute(self.reader.read, io.BytesIO(picture))

    def compute(self, function: Callable[..., Result], *args: Any) -> Result:
        """What a function returns that takes some milliseconds; ServiceUnavailable (503) where too many wait."""
        if not self._places.acquire(blocking=False):
            raise _full()
        reading = self._pool.submit(function, *args)
        reading.add_done_callback(lambda _: self._places.release())
        try:
            return reading.result(PATIENCE)
        except futures.TimeoutError:
            reading.cancel()
            raise (_full() if self.ready.is_set() else _not_ready()) from None


def _full() -> ServiceUnavailable:
    return ServiceUnavailable(
        "the server has more pictures to read than it can: try again in a moment", retry_after=RETRY_AFTER
    )


def _not_ready() -> ServiceUnavailable:
    return ServiceUnavailable(
        "the server is compiling what this network needs, which takes a minute, once: try again in a moment",
        retry_after=RETRY_AFTER,
    )


def _drawn_seven() -> io.BytesIO:
    picture, file = Image.new("L", (280, 280), "white"), io.BytesIO()
    ImageDraw.Draw(picture).line(SEVEN, fill="black", width=16, joint="curve")
    picture.save(file, "PNG")
    file.seek(0)
    return file
