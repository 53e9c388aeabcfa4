"""Reading pictures for many visitors: a few at a time, a bounded number waiting, nobody for ever."""

import io
import threading

from PIL import Image, ImageDraw
from werkzeug.exceptions import ServiceUnavailable

from nncore.reader import DigitReader, Reading

MOST_WAITING = 64  # pictures accepted and not yet answered
PATIENCE = 10.0  # seconds until one that waits is given up
RETRY_AFTER = 1  # seconds until a refused visitor should try again
SEVEN = ((90, 80), (190, 80), (120, 220))


class ReadingService:
    """Reads pictures from any number of threads, `threads` of them at the same time.

    Attributes:
        reader: what reads them.
        ready: set when the kernels are compiled; until then a picture takes longer.
    """

    def __init__(self, reader: DigitReader, threads: int) -> None:
        self.reader = reader
        self.ready = threading.Event()
        self._places = threading.BoundedSemaphore(MOST_WAITING)
        self._turns = threading.BoundedSemaphore(threads)
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def _warm_up(self) -> None:
        """Read a first digit, so that no visitor waits while Numba compiles; meanwhile the page is served already."""
        self.reader.read(_drawn_seven())
        self.ready.set()

    def read(self, picture: bytes) -> list[Reading]:
        """The digits of a picture file. DataError where it is none, ServiceUnavailable (503) where too many wait."""
        if not self._places.acquire(blocking=False):
            raise _full()
        try:
            if not self._turns.acquire(timeout=PATIENCE):
                raise _full()
            try:
                return self.reader.read(io.BytesIO(picture))
            finally:
                self._turns.release()
        finally:
            self._places.release()


def _full() -> ServiceUnavailable:
    return ServiceUnavailable(
        "the server has more pictures to read than it can: try again in a moment", retry_after=RETRY_AFTER
    )


def _drawn_seven() -> io.BytesIO:
    picture, file = Image.new("L", (280, 280), "white"), io.BytesIO()
    ImageDraw.Draw(picture).line(SEVEN, fill="black", width=16, joint="curve")
    picture.save(file, "PNG")
    file.seek(0)
    return file
