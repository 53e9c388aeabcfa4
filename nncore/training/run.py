"""The folder of a training run, `runs/NAME/`: its settings, its history, and the checkpoint from which it can go on."""

import csv
import io
import itertools
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nncore.errors import NNCoreError, WeightsError
from nncore.files import atomic_write, check_writable
from nncore.network import weights
from nncore.network.sequential import Sequential
from nncore.training.averaging import ExponentialMovingAverage
from nncore.training.options import Options

COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "seconds",
)


@dataclass
class Progress:
    """How far a run has come. With the network and the optimizer, this is all that a checkpoint holds."""

    epoch: int = 0  # finished epochs
    batch: int = 0  # batches done in the current epoch
    loss: float = 0.0  # summed over the current epoch's images so far
    correct: int = 0
    images: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def mean_loss(self) -> float:
        """Over the current epoch's images so far."""
        return self.loss / self.images

    @property
    def accuracy(self) -> float:
        """Over the current epoch's images so far."""
        return self.correct / self.images

    def add(self, loss: float, correct: int, images: int) -> None:
        """Count one batch."""
        self.batch += 1
        self.loss += loss * images
        self.correct += correct
        self.images += images

    def end_epoch(self, validation_loss: float, validation_accuracy: float, learning_rate: float) -> dict[str, float]:
        """Turn the epoch's sums into a line of history, and begin the next."""
        self.epoch += 1
        row = (
            self.epoch,
            self.mean_loss,
            self.accuracy,
            validation_loss,
            validation_accuracy,
            learning_rate,
            self.seconds,
        )
        self.history.append(dict(zip(COLUMNS, row, strict=True)))
        self.batch, self.loss, self.correct, self.images, self.seconds = 0, 0.0, 0, 0, 0.0
        return self.history[-1]


class Run:
    """A training run's folder.

        config.json      the settings
        history.csv      a line an epoch
        checkpoint.npz   network, optimizer and progress after the last epoch, or at the interruption
        weights.npz      the trained network
        *.png            pictures

    and what `nncore/training/recorder.py` records for people to watch.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, options: Options, runs: Path = Path("runs")) -> "Run":
        """A new folder in `runs`, named after the network and the time. Raises NNCoreError if there can be none."""
        name = f"{options.model}-{time.strftime('%Y%m%d-%H%M%S')}"
        try:
            runs.mkdir(exist_ok=True)
            for attempt in itertools.count(1):
                folder = runs / (name if attempt == 1 else f"{name}-{attempt}")
                try:
                    folder.mkdir()
                    break
                except FileExistsError:
                    continue
            cls(folder)._write_settings(options)
        except OSError as error:
            raise NNCoreError(f"no folder for the run can be made here ({error}): start from another one") from None
        return cls(folder)

    @classmethod
    def open(cls, folder: Path, options: Options) -> "Run":
        """An existing run. If it has no checkpoint yet it begins now, and these are its settings from now on."""
        run = cls(folder)
        if not run.checkpoint.exists():
            run._write_settings(options)
        return run

    def _write_settings(self, options: Options) -> None:
        with atomic_write(self.folder / "config.json") as file:
            file.write(json.dumps(asdict(options), indent=2).encode() + b"\n")

    def settings(self) -> dict[str, Any]:
        """The settings of an existing run. Raises NNCoreError if the folder holds none."""
        try:
            settings = json.loads((self.folder / "config.json").read_text())
        except (OSError, ValueError) as error:
            raise NNCoreError(f"{self.folder} holds no run that could be resumed ({error})") from None
        if not isinstance(settings, dict):
            raise NNCoreError(f"{self.folder / 'config.json'} does not hold the settings of a run")
        return settings

    @property
    def checkpoint(self) -> Path:
        """The file from which the run can go on."""
        return self.folder / "checkpoint.npz"

    @property
    def weights(self) -> Path:
        """The file with the trained network."""
        return self.folder / "weights.npz"

    def save(self, network: Sequential, optimizer: ExponentialMovingAverage, progress: Progress) -> None:
        """Write the history, then the checkpoint: a run whose checkpoint says it is finished has its whole history."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(progress.history)
        with atomic_write(self.folder / "history.csv") as file:
            file.write(text.getvalue().encode())
        arrays = {
            **{f"network/{name}": array for name, array in {**network.parameters(), **network.state()}.items()},
            **{f"optimizer/{name}": array for name, array in optimizer.state.items()},
        }
        weights.write(self.checkpoint, arrays, {"steps": optimizer.steps, "progress": asdict(progress)})

    def restore(self, network: Sequential, optimizer: ExponentialMovingAverage) -> Progress:
        """Put network and optimizer back where the checkpoint left them."""
        for path in (self.checkpoint, self.weights):
            check_writable(path)
        if not self.checkpoint.exists():
            return Progress()  # interrupted before its first checkpoint: begin again
        with weights.Reader(self.checkpoint) as file:
            arrays, description = file.arrays(), file.metadata
        try:
            network.assign(_under("network/", arrays))
            optimizer.restore(int(description["steps"]), _under("optimizer/", arrays))
            return Progress(**description["progress"])
        except (KeyError, TypeError, ValueError, WeightsError) as error:
            raise WeightsError(f"{self.checkpoint} does not belong to this run: {error}") from None


def _under(prefix: str, arrays: weights.Arrays) -> weights.Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
