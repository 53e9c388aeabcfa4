"""What a run leaves behind while it learns, so that people can watch it, at once or years later.

    status.json         "training", "finished", "stopped" or "failed", and why
    live.csv            a line a second: mean loss and accuracy on the training images since the line before
    digits.npz          twenty of the images held out, the same in every epoch
    epochs/0003.npz     after epoch 3: the filters of the first layer, how probable each class seemed for each of the
                        twenty, and the confusion matrix of all images held out; 0000.npz is the untrained network

Nothing of it is read by training itself. Reading trusts nothing, because files may be half written or spoilt.
"""

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from nncore.data.dataset import Images, network_input
from nncore.errors import NNCoreError, WeightsError
from nncore.files import atomic_write
from nncore.layers.activations import softmax
from nncore.network import weights
from nncore.network.sequential import Sequential
from nncore.training.metrics import confusion_matrix
from nncore.training.run import COLUMNS, Progress
from nncore.types import Array, Bytes, Integers

EACH = 2  # digits of each class that are watched
SECONDS = 1.0  # between two lines of live.csv
LIVE = ("step", "epoch", "loss", "accuracy", "learning_rate")
STATES = ("training", "finished", "stopped", "failed")
MAX_ARRAY = 2**20  # numbers of an array of a snapshot
MAX_TEXT = 2**24  # bytes of a table that is read


def watched(labels: Bytes) -> Integers:
    """Which images are watched: the first EACH of every class, in the order of the classes; indices (K,)."""
    return np.concatenate([np.flatnonzero(labels == label)[:EACH] for label in np.unique(labels)])


class Recorder:
    """Writes all this, within its block; training is neither changed nor slowed by it.

        with Recorder(run.folder, network, progress, validation, steps_per_epoch, epochs) as recorder:
            recorder.step(learning_rate)    # after each step, once `progress` has counted it
            recorder.epoch(logits)          # after each epoch's last, before `progress` goes on to the next epoch

    validation: the images held out; logits (N, classes) are what the network makes of them.
    A run that goes on keeps what was recorded up to where it goes on from, and nothing later.
    """

    def __init__(
        self, folder: Path, network: Sequential, progress: Progress, validation: Images, steps: int, epochs: int
    ) -> None:
        self._folder, self._network, self._progress = folder, network, progress
        self._images, self._labels = validation
        self._steps, self._epochs = steps, epochs  # steps: of an epoch
        self._watched = watched(validation.labels)
        self._learning_rate = 0.0

    def __enter__(self) -> "Recorder":
        set_status(self._folder, "training")
        done = self._step()
        for epoch in snapshots(self._folder):
            if epoch > self._progress.epoch:
                _snapshot(self._folder, epoch).unlink(missing_ok=True)
        kept = [row for row in read_live(self._folder) if row["step"] <= done]
        with atomic_write(self._folder / "live.csv") as file:
            file.write(_lines([LIVE, *(row.values() for row in kept)]).encode())
        self._live: IO[str] = (self._folder / "live.csv").open("a", newline="")
        pictures = {"images": self._images[self._watched], "labels": self._labels[self._watched]}
        weights.write(self._folder / "digits.npz", pictures, {})
        if not done:
            self._write(0, self._network.predict(network_input(pictures["images"])), None)
        self._mark()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._point()
            self._live.close()
            set_status(self._folder, *self._ending(error))
        except OSError:
            if error is None:  # else there is something more important to say
                raise

    def _ending(self, error: BaseException | None) -> tuple[str, str]:
        if isinstance(error, Exception):
            return "failed", str(error) if isinstance(error, NNCoreError | OSError) else repr(error)
        return ("finished" if self._progress.epoch == self._epochs else "stopped"), ""

    def step(self, learning_rate: float) -> None:
        """A step was done, at this learning rate."""
        self._learning_rate = learning_rate
        if time.monotonic() >= self._since + SECONDS:
            self._point()

    def epoch(self, logits: Array) -> None:
        """An epoch is over."""
        self._point()
        if np.isfinite(logits).all():  # else the run ends here, and says so
            confusion = confusion_matrix(self._labels, logits.argmax(axis=1), logits.shape[1])
            self._write(self._progress.epoch + 1, logits[self._watched], confusion)

    def _step(self) -> int:
        """How many steps the run has done."""
        return self._progress.epoch * self._steps + self._progress.batch

    def _mark(self) -> None:
        self._since, self._before = time.monotonic(), replace(self._progress)

    def _point(self) -> None:
        """A line of the means since the last one. It may reach the disk later: losing it is no harm."""
        now = self._progress
        before = self._before if self._before.epoch == now.epoch else Progress()  # each epoch is summed anew
        count = now.images - before.images
        if count:
            loss, right = (now.loss - before.loss) / count, (now.correct - before.correct) / count
            step = self._step()
            self._live.write(_lines([(step, step / self._steps, loss, right, self._learning_rate)]))
            self._live.flush()
        self._mark()

    def _write(self, epoch: int, logits: Array, confusion: Integers | None) -> None:
        arrays: weights.Arrays = {"probabilities": softmax(logits.astype(np.float32))}
        if confusion is not None:
            arrays["confusion"] = confusion
        kernel = self._network.layers[0].parameters.get("kernel")
        if kernel is not None and kernel.ndim == 4:
            arrays["filters"] = kernel
        weights.write(_snapshot(self._folder, epoch), arrays, {"epoch": epoch})


def set_status(folder: Path, state: str, words: str = "") -> None:
    """Write what has become of a run: one of STATES, and why."""
    with atomic_write(folder / "status.json") as file:
        file.write(json.dumps({"state": state, "words": words}).encode() + b"\n")


# Reading


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run after an epoch."""

    epoch: int
    probabilities: Array  # (K, classes), of the digits watched
    confusion: Integers | None  # (classes, classes), rows are the true classes; None before the first epoch
    filters: Array | None  # (KH, KW, C_in, C_out); None where the first layer is no convolution


def read_status(folder: Path) -> tuple[str, str] | None:
    """One of STATES, and words where it failed; None where no status was written. NNCoreError if it makes no sense."""
    path = folder / "status.json"
    if not path.exists():
        return None
    try:
        status = json.loads(_read(path))
        state, words = status["state"], status["words"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise NNCoreError(f"{path.name} cannot be read") from None
    if state not in STATES or not isinstance(words, str):
        raise NNCoreError(f"{path.name} holds no status")
    return state, words


def read_live(folder: Path) -> list[dict[str, float]]:
    """The lines of live.csv that are whole, with the columns of LIVE."""
    return list(_rows(folder / "live.csv", LIVE))


def read_history(folder: Path) -> list[dict[str, float]]:
    """The lines of history.csv that are whole, with the columns of COLUMNS."""
    return list(_rows(folder / "history.csv", COLUMNS))


def snapshots(folder: Path) -> list[int]:
    """The epochs of which there is a snapshot, in order."""
    return sorted(int(path.stem) for path in (folder / "epochs").glob("*.npz") if path.stem.isdecimal())


def read_snapshot(folder: Path, epoch: int) -> Snapshot:
    """A run after an epoch. WeightsError, naming the file, where there is none or it is spoilt."""
    with weights.Reader(_snapshot(folder, epoch)) as file:
        arrays = file.arrays()
    expected = {"probabilities": (2, "f"), "confusion": (2, "iu"), "filters": (4, "f")}
    for name, (axes, kinds) in expected.items():
        array = arrays.get(name)
        if array is not None and (array.ndim != axes or array.dtype.kind not in kinds or array.size > MAX_ARRAY):
            raise WeightsError(f"{file.path} is no snapshot: {name} is {array.dtype} {array.shape}")
    if "probabilities" not in arrays:
        raise WeightsError(f"{file.path} is no snapshot: it lacks probabilities")
    return Snapshot(epoch, arrays["probabilities"], arrays.get("confusion"), arrays.get("filters"))


def read_digits(folder: Path) -> tuple[Bytes, Bytes]:
    """The digits watched, images uint8 (K, 28, 28) and labels (K,). WeightsError where there are none."""
    with weights.Reader(folder / "digits.npz") as file:
        arrays = file.arrays()
    images, labels = arrays.get("images"), arrays.get("labels")
    if images is None or labels is None or images.shape != (*labels.shape, 28, 28) or images.dtype != np.uint8:
        raise WeightsError(f"{file.path} does not hold digits")
    return images, labels


def _snapshot(folder: Path, epoch: int) -> Path:
    return folder / "epochs" / f"{epoch:04}.npz"


def _lines(rows: Iterable[Iterable[object]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, float]]:
    """The lines of a table that are whole; none where it has other columns, or is not there."""
    try:
        lines = _read(path).split("\n")[:-1]  # a last line without an end is still being written
    except (OSError, ValueError):
        return
    if not lines or tuple(lines[0].strip().split(",")) != columns:
        return
    for line in lines[1:]:
        try:
            values = [float(value) for value in line.split(",")]
        except ValueError:
            continue
        if len(values) == len(columns) and math.isfinite(values[0]):
            yield dict(zip(columns, values, strict=True))


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_TEXT).decode()
