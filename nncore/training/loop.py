"""What surrounds the lines of learning: epochs, batches, progress, validation, checkpoints, and stopping on request."""

import math
import signal
import time
from collections.abc import Iterator
from types import FrameType, TracebackType

import numpy as np
from tqdm import tqdm

from nncore.data.augment import augment, augmentation
from nncore.data.dataset import Images, batches, network_input
from nncore.errors import TrainingError
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.sequential import Sequential
from nncore.schedules import Schedule
from nncore.training.averaging import ExponentialMovingAverage
from nncore.training.metrics import accuracy
from nncore.training.options import Options
from nncore.training.recorder import Recorder
from nncore.training.report import epoch_line, python_name
from nncore.training.run import Run
from nncore.types import Array, Integers


class Training:
    """A run of training, from where it stands to its end.

        training = Training(run, network, optimizer, schedule, train, validation, options)
        with training:
            for x, y in training.batches():
                logits = network.forward(x, training=True)
                training.record(loss.forward(logits, y), logits)
                network.backward(loss.backward())
                optimizer.step(network.parameters(), network.gradients(), schedule(optimizer.steps))

    After each epoch it validates, prints a line and saves a checkpoint. Ctrl-C ends the batches after the step under
    way, saves, and says how to go on.

    Attributes:
        progress: how far the run has come.
        interrupted: whether Ctrl-C ended it.
    """

    def __init__(
        self,
        run: Run,
        network: Sequential,
        optimizer: ExponentialMovingAverage,
        schedule: Schedule,
        train: Images,
        validation: Images,
        options: Options,
    ) -> None:
        self.run, self.network, self.optimizer, self.schedule = run, network, optimizer, schedule
        self.train, self.validation, self.options = train, validation, options
        self.progress = run.restore(network, optimizer)
        self.interrupted = False
        self._steps_per_epoch = math.ceil(len(train.images) / options.batch_size)
        self._recorder = Recorder(run.folder, network, self.progress, validation, self._steps_per_epoch, options.epochs)

    def __enter__(self) -> "Training":
        self._interruption = Interruption().__enter__()
        self._errors = np.errstate(all="ignore")  # `check_finite` says better what is wrong
        self._errors.__enter__()
        self._recorder.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recorder.__exit__(kind, error, trace)
        self._errors.__exit__(kind, error, trace)
        self._interruption.__exit__(kind, error, trace)

    def batches(self) -> Iterator[tuple[Array, Integers]]:
        """The batches that are left to learn, epoch by epoch: x (N, 28, 28, 1), distorted, and labels y (N,)."""
        options, progress = self.options, self.progress
        while progress.epoch < options.epochs:
            self._title = f"epoch {progress.epoch + 1}/{options.epochs}"
            self._began = time.perf_counter() - progress.seconds
            epoch = batches(*self.train, options.batch_size, options.seed, progress.epoch, progress.batch)
            count = len(self.train.images)
            bar = tqdm(
                total=count, initial=progress.images, desc=self._title, unit=" images", disable=None, leave=False
            )
            with bar:
                for images, y in epoch:
                    done = self.optimizer.steps / (options.epochs * self._steps_per_epoch)
                    if distortion := augmentation(options.augment, done):
                        images = augment(images, options.seed, self.optimizer.steps, distortion)
                    self._x, self._y = network_input(images), y
                    yield self._x, y
                    bar.set_postfix_str(f"loss {progress.mean_loss:.4f}, accuracy {progress.accuracy:.2%}")
                    bar.update(len(y))
                    if self._interruption.requested:
                        break
            if self._interruption.requested:
                self.interrupted = True
                self.run.save(self.network, self.optimizer, progress)
                folder = self.run.folder
                print(f"\nstopped and saved; to go on: {python_name()} train_scratch.py --resume {folder}")
                return
            self._end_epoch()

    def record(self, loss: float, logits: Array) -> None:
        """Count a batch. TrainingError, which names the layer to blame, where the loss is not a number."""
        learning_rate = self.schedule(self.optimizer.steps)
        check_finite(loss, self.network, self._x, self.optimizer.steps, learning_rate)
        self.progress.add(loss, int((logits.argmax(axis=1) == self._y).sum()), len(self._y))
        self.progress.seconds = time.perf_counter() - self._began
        self._recorder.step(learning_rate)

    def _end_epoch(self) -> None:
        learning_rate = self.schedule(self.optimizer.steps - 1)  # the last step's
        with self.optimizer.averaged():
            logits = self.network.predict(network_input(self.validation.images))
            loss = SoftmaxCrossEntropy().forward(logits, self.validation.labels)
            self._recorder.epoch(logits)
        sample = network_input(self.validation.images[: self.options.batch_size])
        check_finite(loss, self.network, sample, self.optimizer.steps, learning_rate)
        row = self.progress.end_epoch(loss, accuracy(logits, self.validation.labels), learning_rate)
        self.run.save(self.network, self.optimizer, self.progress)
        print(f"{self._title}: {epoch_line(row, len(self.train.images))}", flush=True)


def check_finite(loss: float, network: Sequential, x: Array, step: int, learning_rate: float) -> None:
    """Raise TrainingError unless the loss is a number; x (N, 28, 28, 1) is the batch that it was measured on.

    The batch is sent through the layers once more, to say which was the first to leave the range of numbers.
    """
    if math.isfinite(loss):
        return
    first = "the loss itself"
    with np.errstate(all="ignore"):
        for name, layer in zip(network.names, network.layers, strict=True):
            if not all(np.isfinite(parameter).all() for parameter in layer.parameters.values()):
                first = f"a weight of {name}"
                break
            x = layer.forward(x)
            if not np.isfinite(x).all():
                first = f"the output of {name}"
                break
    raise TrainingError(
        f"the loss is {loss} at step {step}, with learning rate {learning_rate:g}: the first number to grow beyond all "
        f"bounds is {first}. Try a smaller --learning-rate."
    )


class Interruption:
    """Within its block, Ctrl-C (or a polite kill) no longer stops Python anywhere: it sets `requested`.

    So a training step is never cut in half; the loop looks at `requested` after each. A second Ctrl-C stops at once, if
    it comes a second or more after the first: some programs that start others deliver one signal twice.
    """

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0

    def __enter__(self) -> "Interruption":
        self._before = {number: signal.signal(number, self._request) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested, self._since = True, time.monotonic()
        elif time.monotonic() >= self._since + 1:
            raise KeyboardInterrupt
