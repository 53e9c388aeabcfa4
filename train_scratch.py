"""Train a convolutional network on handwritten digits, from scratch.

The story in one piece: data -> network -> loss -> gradients -> optimizer -> weights file. What it calls stands in
`nncore/`, a file a concept; `python train_scratch.py --help` lists what can be changed. Every random choice is a
function of the seed and of how far the run has come (epoch, step), so that a resumed run chooses as if never stopped.
"""

from nncore.machine import available_threads, configure_threads_and_malloc, use_threads

configure_threads_and_malloc()  # before NumPy is imported

# isort: split
import math
import sys
from dataclasses import replace
from pathlib import Path

from nncore.data.dataset import load_dataset
from nncore.errors import NNCoreError
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.fusion import multiplies_by_blas
from nncore.network.models import MODELS
from nncore.optimizers import OPTIMIZERS
from nncore.schedules import SCHEDULES
from nncore.training.averaging import ExponentialMovingAverage
from nncore.training.calibration import calibrate
from nncore.training.loop import Training
from nncore.training.options import Options, parse, resumed
from nncore.training.report import begin, check_classes, report
from nncore.training.run import Run

INTERRUPTED = 130  # the exit status a shell gives to what Ctrl-C ended


def train(options: Options, folder: Path | None = None) -> int:
    """Train one network, from the start or on from where the run in `folder` stopped, and report; the exit status."""
    threads = options.threads or available_threads()
    use_threads(threads, blas=threads if multiplies_by_blas(options.conv) else 1)

    # Data: the last images of the training set are held out, to watch progress on images the network never learns.
    if options.dataset.startswith("drawn"):
        print("drawing digits as people do, which takes a minute or two", flush=True)
    data = load_dataset(options.dataset, options.data_dir)
    if data.notice:
        print(f"\n*** {data.notice}\n")
    train, validation = data.split(options.limit)
    options = replace(options, dataset=data.name, threads=threads)  # what the defaults came to
    print(f"data: {data.source}; {len(train.images):,} images to train on, {len(validation.images):,} to validate")

    # Network, loss, optimizer. The learning rate is a function of the step.
    network = MODELS[options.model](seed=options.seed, conv=options.conv)
    check_classes(network, data, options)
    loss = SoftmaxCrossEntropy(options.label_smoothing)
    settings = {} if options.weight_decay is None else {"weight_decay": options.weight_decay}
    optimizer = ExponentialMovingAverage(
        OPTIMIZERS[options.optimizer](learning_rate=options.learning_rate, **settings), network, options.ema
    )
    steps = options.epochs * math.ceil(len(train.images) / options.batch_size)
    schedule = SCHEDULES[options.schedule](options.learning_rate, steps)

    # The loop. Each step: what the network says, how wrong that is, which way is better, and a step that way.
    run = Run.open(folder, options) if folder else Run.create(options)
    training = Training(run, network, optimizer, schedule, train, validation, options)
    begin(training.progress, network, optimizer, options)
    with training:
        for x, y in training.batches():
            logits = network.forward(x, training=True)
            training.record(loss.forward(logits, y), logits)
            network.backward(loss.backward())
            optimizer.step(network.parameters(), network.gradients(), schedule(optimizer.steps))
    if training.interrupted:
        return INTERRUPTED

    # The report: the test set is touched once, and the weights are saved.
    with optimizer.averaged():
        if options.label_smoothing:  # such targets leave the network too modest
            calibrate(network, validation.images, validation.labels)
        report(run, network, training.progress.history, data, options)
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
