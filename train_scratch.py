"""Train a convolutional network on handwritten digits, from scratch.

The story in one piece: data -> network -> loss -> gradients -> optimizer -> weights file. What it calls stands in
`nncore/`, a file a concept; `python train_scratch.py --help` lists what can be changed. Every random choice is a
function of the seed and of how far the run has come (epoch, step), so that a resumed run chooses as if never stopped.
"""

import nncore  # noqa: F401  before NumPy: the threads of BLAS are to sleep when they have nothing to do

# isort: split
import math
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nncore import kernels
from nncore.data.augment import augment, augmentation
from nncore.data.dataset import HELD_OUT, batches, holdout, load_dataset, network_input
from nncore.data.table import read_csv
from nncore.errors import NNCoreError, OptionError
from nncore.files import check_writable
from nncore.inspection.narration import told
from nncore.kernels.conv.choose import multiplies_by_blas
from nncore.losses import SoftmaxCrossEntropy
from nncore.machine import available_threads, use_threads
from nncore.network.models import MODELS
from nncore.network.plan import Plan
from nncore.optimizers import OPTIMIZERS
from nncore.schedules import SCHEDULES
from nncore.training.averaging import ExponentialMovingAverage
from nncore.training.calibration import fit_temperature
from nncore.training.loop import Interruption, check_finite, evaluate
from nncore.training.metrics import accuracy
from nncore.training.options import Options, parse, resumed
from nncore.training.recorder import Recorder
from nncore.training.report import accuracy_line, class_table, draw, made_by, python_name
from nncore.training.run import Run
from nncore.training.warmup import NO_NUMBA, warm_up

INTERRUPTED = 130  # the exit status a shell gives to what Ctrl-C ended
BARELY_LEARNED = 0.2  # validation accuracy


def train(options: Options, folder: Path | None = None) -> int:
    """Train one network, from the start or on from where the run in `folder` stopped, and report; the exit status."""
    threads = options.threads or available_threads()
    use_threads(threads, blas=threads if multiplies_by_blas(options.conv) else 1)

    # Data: the last images of the training set are held out, to watch progress on images the network never learns.
    if options.dataset.startswith("drawn"):
        print("drawing digits as people do, which takes a minute or two", flush=True)
    data = load_dataset(options.dataset, Path(options.data_dir) if options.data_dir else None)
    if data.notice:
        print(f"\n*** {data.notice}\n")
    images, labels = data.train_images[: options.limit], data.train_labels[: options.limit]
    validation_size = min(HELD_OUT, math.ceil(len(images) / 10))
    images, labels, validation_images, validation_labels = holdout(images, labels, validation_size)
    if options.corrections:
        more_images, more_labels = read_csv(options.corrections)
        images, labels = np.concatenate([images, more_images]), np.concatenate([labels, more_labels])
    print(f"data: {data.source}; {len(images):,} images to train on, {validation_size:,} to validate")

    # The run's folder. Its settings say what the defaults came to, so that a resumed run learns the same on the same.
    options = replace(options, dataset=data.name, threads=threads)
    run = Run.open(folder, options) if folder else Run.create(options)
    weights_file, pictures = Path(options.output or run.folder / "weights.npz"), Path(options.plots or run.folder)
    for path in (run.checkpoint, weights_file, pictures / "curves.png"):
        check_writable(path)

    # Network, loss, optimizer. The plan runs the network's layers, those that can be in one go.
    network = MODELS[options.model](seed=options.seed, conv=options.conv)
    classes = int(data.train_labels.max()) + 1
    if classes > network.output_shape[0]:
        raise OptionError(
            f"--dataset {data.name} has {classes} classes, the last being things that are no digit, but --model "
            f"{options.model} tells {network.output_shape[0]} apart: choose --model recogniser"
        )
    plan = Plan(network)
    loss = SoftmaxCrossEntropy(options.label_smoothing)
    decay = {} if options.weight_decay is None else {"weight_decay": options.weight_decay}
    optimizer = OPTIMIZERS[options.optimizer](learning_rate=options.learning_rate, **decay)
    running = {name: array for name, array in network.state().items() if array.dtype == network.dtype}
    average = ExponentialMovingAverage(network.parameters() | running, options.ema) if options.ema else None
    averaged = average.applied if average else nullcontext
    steps_per_epoch = math.ceil(len(images) / options.batch_size)
    steps = options.epochs * steps_per_epoch
    schedule = SCHEDULES[options.schedule](options.learning_rate, steps)
    progress = run.restore(network, optimizer, average)
    explained = optimizer.steps + options.explain
    print(f"\n{network.summary()}\n")
    if progress.epoch == options.epochs:
        print("this run is finished: it is tested once more, and not trained")
    elif optimizer.steps:
        print(f"going on in epoch {progress.epoch + 1}/{options.epochs}, after {progress.images:,} of its images")
    elif kernels.NUMBA:
        print("the first run compiles its kernels, which takes up to a minute; later ones find them", flush=True)
    else:
        print(NO_NUMBA, flush=True)
    if progress.epoch < options.epochs and kernels.NUMBA:
        warm_up(network, optimizer, options.augment)

    # The loop. NumPy need not warn of numbers too large: check_finite says it better.
    held_out = validation_images, validation_labels
    recorder = Recorder(run.folder, plan, progress, *held_out, steps_per_epoch, options.epochs)
    with Interruption() as interruption, np.errstate(all="ignore"), recorder:
        while progress.epoch < options.epochs:
            began = time.perf_counter() - progress.seconds
            title = f"epoch {progress.epoch + 1}/{options.epochs}"
            epoch = batches(images, labels, options.batch_size, options.seed, progress.epoch, progress.batch)
            bar = tqdm(
                total=len(images), initial=progress.images, desc=title, unit=" images", disable=None, leave=False
            )
            with bar:
                for digits, y in epoch:
                    if distortion := augmentation(options.augment, optimizer.steps / steps):
                        digits = augment(digits, options.seed, optimizer.steps, distortion)
                    x, learning_rate = network_input(digits), schedule(optimizer.steps)
                    if optimizer.steps < explained:
                        bar.write(told(network, loss, optimizer, x, y, learning_rate))

                    logits = plan.forward(x, training=True)
                    value = loss.forward(logits, y)
                    check_finite(value, network, x, optimizer.steps, learning_rate)
                    plan.backward(loss.backward())
                    optimizer.step(network.parameters(), network.gradients(), learning_rate)
                    if average:
                        average.update()

                    progress.add(value, int((logits.argmax(axis=1) == y).sum()), len(x))
                    progress.seconds = time.perf_counter() - began
                    recorder.step(learning_rate)
                    bar.set_postfix_str(f"loss {progress.mean_loss:.4f}, accuracy {progress.accuracy:.2%}")
                    bar.update(len(x))
                    if interruption.requested:
                        break
            if interruption.requested:
                run.save(network, optimizer, progress, average)
                print(f"\nstopped and saved; to go on: {python_name()} train_scratch.py --resume {run.folder}")
                return INTERRUPTED
            learning_rate = schedule(optimizer.steps - 1)  # a run stopped after an epoch's last batch has none left
            with averaged():
                validation_loss, validation_accuracy, logits = evaluate(plan, *held_out)
                recorder.epoch(logits)
            sample = network_input(validation_images[: options.batch_size])
            check_finite(validation_loss, network, sample, optimizer.steps, learning_rate)
            row = progress.end_epoch(validation_loss, validation_accuracy, learning_rate)
            run.save(network, optimizer, progress, average)
            print(
                f"{title}: loss {row['train_loss']:.4f}, accuracy {row['train_accuracy']:.2%}; validation loss "
                f"{validation_loss:.4f}, accuracy {validation_accuracy:.2%}; {row['seconds']:.0f} s, "
                f"{len(images) / row['seconds']:,.0f} images/s",
                flush=True,
            )

    if progress.history[-1]["validation_accuracy"] < BARELY_LEARNED:
        print("\nthe network has learned next to nothing (guessing gives 10 %): try a smaller --learning-rate")

    test_images, test_labels = data.test_images[: options.limit], data.test_labels[: options.limit]
    with averaged():
        # Targets that label smoothing made milder leave the network too modest: its probabilities are set right again.
        if options.label_smoothing:
            _, _, logits = evaluate(plan, validation_images, validation_labels)
            output = network.layers[-1].parameters
            temperature = fit_temperature(logits, validation_labels)
            for array in output.values():
                array /= temperature

        # The test set, touched once. It holds digits only; a network with one class more is asked which digit it is.
        _, _, logits = evaluate(plan, test_images, test_labels)
        predictions = logits[:, :10].argmax(axis=1)
        seconds = sum(row["seconds"] for row in progress.history)
        print(f"\ntest: {accuracy_line(test_labels, predictions)}\n\n{class_table(test_labels, predictions)}")
        network.save(weights_file, made_by(options, accuracy(predictions, test_labels), seconds))
        print(f"\ntrained in {seconds:,.0f} s\nweights:  {weights_file}\nhistory:  {run.folder / 'history.csv'}")
        drawn = draw(pictures, network, progress.history, test_images, test_labels, logits[:, :10])
        print(f"pictures: {drawn}\nnext:     {python_name()} -m nncore evaluate {weights_file}")
    return 0


def main() -> int:
    """Read the flags, and the settings of a run to resume, and train."""
    options, folder = parse()
    try:
        return train(resumed(options, Run(folder).settings()) if folder else options, folder)
    except (NNCoreError, OSError) as error:
        print(f"train_scratch.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped at once; what was saved before is still there", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
