"""The training digits that are most like the one that was drawn, where the training set is at hand."""

import logging
import threading
from pathlib import Path
from typing import Any

import platformdirs

from nncore.data.mnist import given_folder, load_mnist
from nncore.errors import DataError
from nncore.machine import use_kernel_threads
from nncore.network.sequential import Sequential
from nncore.types import Bytes
from webdemo.inside.neighbours import Neighbours
from webdemo.server.encoding import packed

COUNT = 3000  # training digits among which is searched: some seconds of work, 20 MB of features
SHOWN = 8

log = logging.getLogger("webdemo")


class NearestDigits:
    """A collection that comes into being when it is first asked for, in a thread of its own; nothing is downloaded."""

    def __init__(self, network: Sequential) -> None:
        self._network = network
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._neighbours: Neighbours | None = None
        self._missing = ""

    def prepare(self) -> None:
        """Begin, unless that was done."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="nearest", daemon=True)
                self._thread.start()

    def describe(self, image: Bytes) -> dict[str, Any]:
        """What /api/explain answers: "status" and, as soon as that is "ready", "digits"."""
        self.prepare()
        if self._neighbours is None:
            return {"status": "missing" if self._missing else "preparing", "detail": self._missing, "digits": []}
        near = self._neighbours
        numbers, distances = near.nearest(image, SHOWN)
        digits = [
            {"label": int(near.labels[i]), "distance": float(distance), "pixels": packed(near.images[i])}
            for i, distance in zip(numbers, distances, strict=True)
        ]
        return {"status": "ready", "detail": f"of {len(near.labels):,} training digits", "digits": digits}

    def _work(self) -> None:
        use_kernel_threads(1)
        try:
            folder = given_folder(None) or Path(platformdirs.user_cache_dir("nncore")) / "mnist"
            mnist = load_mnist(folder)  # of a folder that is named nothing is downloaded
            images, labels = mnist.train_images[:COUNT].copy(), mnist.train_labels[:COUNT].copy()
            del mnist
            self._neighbours = Neighbours(self._network, images, labels)
        except DataError as error:
            log.info("no nearest digits: %s", error)
            self._missing = "MNIST is not on this machine: `make train` fetches it, or NNCORE_DATA names its folder"
        except Exception:
            log.exception("the training digits could not be compared")
            self._missing = "the training digits could not be compared: see the server's console"
