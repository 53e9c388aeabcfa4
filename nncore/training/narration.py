"""Steps of training in words and numbers, as they are taken: python -m nncore explain.

Each step is rehearsed on a copy of the network and of the optimizer, layer by layer, so that every number between two
layers can be shown. Then the network takes the same step.
"""

import copy
import itertools
from collections.abc import Iterator

import numpy as np

from nncore.data.dataset import batches, load_dataset, network_input
from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU
from nncore.layers.activations import softmax
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.models import MODELS
from nncore.network.sequential import Sequential
from nncore.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer
from nncore.training.options import DEFAULT
from nncore.types import Array, Integers

WIDTH = 100  # characters
SHADES = " .:+#@"  # from paper to ink
PICTURES = 3


def describe_steps(model: str, count: int, dataset: str, data_dir: str | None, seed: int) -> Iterator[str]:
    """The first `count` steps of a training of one of MODELS, with the script's own settings."""
    options = DEFAULT
    network, loss = MODELS[model](seed=seed), SoftmaxCrossEntropy()
    optimizer = OPTIMIZERS[options.optimizer](options.learning_rate)
    train, _ = load_dataset(dataset, data_dir).split()
    for images, y in itertools.islice(batches(*train, options.batch_size, seed, epoch=0), count):
        x = network_input(images)
        yield describe_step(network, loss, optimizer, x, y, options.learning_rate)
        loss.forward(network.forward(x, training=True), y)
        network.backward(loss.backward())
        optimizer.step(network.parameters(), network.gradients())


def describe_step(
    network: Sequential,
    loss: SoftmaxCrossEntropy,
    optimizer: Optimizer,
    x: Array,
    y: Integers,
    learning_rate: float,
) -> str:
    """The step that the network is about to take, in lines of at most 100 characters.

    x (N, H, W, 1): the batch, numbers from 0 to 1. y (N,): its labels. Changes nothing of what it is given.
    """
    network, loss, optimizer = copy.deepcopy((network, loss, optimizer))
    layers = list(zip(network.names, network.layers, strict=True))
    lines = [f" Step {optimizer.steps + 1} ".center(WIDTH, "-"), *_data(x, y)]

    lines += ["", "FORWARD. Each layer takes what the one before it has returned, for all images of the batch at once."]
    lines += ["A norm is the root of the sum of all squares: how large an array is as a whole.", ""]
    output = network.batch(x)
    for name, layer in layers:
        taken, output = output, layer.forward(output, training=True)
        lines += [_row(name, "x", taken, "y", output), _indented(_forward(layer, taken, output))]

    mean = loss.forward(output, y)
    gradient = loss.backward()
    lines += ["", *_loss(loss, output, y, mean, gradient)]

    lines += ["", "BACKWARD. Each layer takes dy, the gradient of the loss by what the layer had returned, and returns"]
    lines += ["dx, the gradient by what it had taken: the dy of the layer before. On the way it notes the gradients"]
    lines += ["by its own weights.", ""]
    for name, layer in reversed(layers):
        taken, gradient = gradient, layer.backward(gradient)
        lines += [_row(name, "dy", taken, "dx", gradient), _indented(_backward(layer, taken, gradient))]
        lines += [_indented(f"d{key} {array.shape}, norm {_norm(array)}") for key, array in layer.gradients.items()]

    lines += ["", *_update(network, optimizer, learning_rate), "-" * WIDTH]
    return "\n".join(lines)


def _data(x: Array, y: Integers) -> list[str]:
    """What is in the batch, and its first pictures in letters, two rows of pixels to a line."""
    rows = x.shape[1] // 2 * 2
    pictures = x[:PICTURES, :rows, :, 0].reshape(-1, rows // 2, 2, x.shape[2]).mean(axis=2)
    shades = np.array(list(SHADES))[(pictures * (len(SHADES) - 0.01)).astype(int)]
    return [
        "The step is rehearsed on a copy, layer by layer; then the network takes it.",
        "",
        f"THE BATCH. x {x.shape}: {len(x)} images of {x.shape[1]} x {x.shape[2]} pixels, from 0 (paper) to 1 (ink).",
        f"Labels y {y.shape}, the digits that they are: {' '.join(map(_digit, y[:8]))} ...; the first few:",
        "",
        *("  ".join("".join(line) for line in side_by_side) for side_by_side in shades.swapaxes(0, 1)),
    ]


def _loss(loss: SoftmaxCrossEntropy, logits: Array, y: Integers, mean: float, gradient: Array) -> list[str]:
    probabilities, true = softmax(logits[:1])[0], int(y[0])
    smoothing = loss.label_smoothing
    table = [
        ["digit", *map(_digit, range(logits.shape[1]))],
        ["logit", *(f"{value:.3f}" for value in logits[0])],
        ["p", *(f"{value:.4f}" for value in probabilities)],
        ["p - t", *(f"{value:.4f}" for value in gradient[0] * len(y))],
    ]
    own = f"The loss is -log of its probability: -log {probabilities[true]:.4f} = {-np.log(probabilities[true]):.4f}."
    target = f"The label is {_digit(true)}, so the target t is 1 there, else 0."
    if smoothing:
        rest = smoothing / len(probabilities)
        picture = float(SoftmaxCrossEntropy(smoothing).forward(logits[:1], y[:1]))
        own = f"The loss is minus the sum of all t log p: {picture:.4f}."
        target = (
            f"The label is {_digit(true)}, so with label smoothing the target t is {1 - smoothing + rest:.4g} there, "
            f"else {rest:.4g}."
        )
    return [
        "THE LOSS: how wrong the answers are. The last layer has returned a row of numbers for each image,",
        "its logits. Softmax makes probabilities p of them: e to the power of each, divided by the sum of",
        "these. For the first image:",
        "",
        *("  " + f"{head:<6}" + "".join(f"{cell:>8}" for cell in cells) for head, *cells in table),
        "",
        target,
        own,
        f"The mean over the {len(y)} images of the batch is {mean:.4f}. (Who knows nothing and gives each the same",
        f"probability has a loss of log {len(probabilities)} = {np.log(len(probabilities)):.4f}.)",
        f"The gradient, which is how the loss changes with each logit, is (p - t) / {len(y)}. Where it is below 0,",
        "a larger logit would make the loss smaller: so it is for the true one.",
    ]


def _forward(layer: Layer, x: Array, y: Array) -> str:
    if isinstance(layer, Conv2D):
        height, width, channels, filters = layer.parameters["kernel"].shape
        return (
            f"{filters} kernels of {height} x {width} x {channels} at every place: "
            f"sums of {height * width * channels} products" + (", plus a bias" if layer.use_bias else "")
        )
    if isinstance(layer, Dense):
        inputs, units = layer.parameters["kernel"].shape
        return f"y = x w + b: {units} sums of {inputs:,} products each"
    if isinstance(layer, ReLU):
        return f"what is below 0 becomes 0, here {(x < 0).mean():.1%} of the numbers; then {(y == 0).mean():.1%} are 0"
    if isinstance(layer, MaxPool2D):
        return f"the largest number of each window of {layer.pool_size[0]} x {layer.pool_size[1]} stays"
    if isinstance(layer, Dropout):
        return f"each number is left out with probability {layer.rate:g}; the others times {1 / (1 - layer.rate):.4g}"
    if isinstance(layer, Flatten):
        return "the same numbers, each image's in a row"
    if isinstance(layer, BatchNorm):
        return "each channel gets mean 0 and variance 1 over the batch, then times gamma, plus beta"
    return _first_line(layer)


def _backward(layer: Layer, dy: Array, dx: Array) -> str:
    if isinstance(layer, Conv2D):
        return "dkernel sums dy times what the weight met, over all places; dx: dy times the weight"
    if isinstance(layer, Dense):
        return "dw = x^T dy; db = the sum of dy over the batch; dx = dy w^T"
    if isinstance(layer, ReLU):
        return f"dx = dy where y was above 0, else 0: {(dx != 0).mean():.1%} of the numbers are not 0"
    if isinstance(layer, MaxPool2D):
        return "dy goes to the one of its window that was the largest; the others get 0"
    if isinstance(layer, Dropout):
        return f"what was left out gets 0, the rest dy times {1 / (1 - layer.rate):.4g}"
    if isinstance(layer, Flatten):
        return "the same numbers, as images again"
    if isinstance(layer, BatchNorm):
        return "dy times gamma / deviation, less what the batch's mean and variance take of it"
    return _first_line(layer)


def _update(network: Sequential, optimizer: Optimizer, learning_rate: float) -> list[str]:
    """One weight's step by hand, then the optimizer's."""
    parameters, gradients = network.parameters(), network.gradients()
    name = next((name for name, array in parameters.items() if array.ndim > 1), None)
    if name is None:
        return ["THE STEP. This network has no weights."]
    place = np.unravel_index(np.abs(gradients[name]).argmax(), gradients[name].shape)
    w, g = float(parameters[name][place]), float(gradients[name][place])
    by_hand = _by_hand(optimizer, name, tuple(map(int, place)), w, g, learning_rate)
    optimizer.step(parameters, gradients, learning_rate)
    return [
        f"THE STEP. Each of the {network.count_parameters():,} weights and biases moves against its gradient, so that",
        "the loss becomes smaller. Here is one of them by hand, that with the largest gradient of its array:",
        f"{name}[{', '.join(map(str, place))}].",
        "",
        f"  weight         w    = {w:.7g}",
        f"  gradient       g    = {g:.7g}",
        f"  learning rate  rate = {learning_rate:.7g}    ",
        "",
        f"By the rule of {type(optimizer).__name__} (nncore/optimizers.py):",
        "",
        *(f"  {line}" for line in by_hand),
        "",
        f"  The optimizer has made it {parameters[name][place]:.7g} (in float32, which keeps some seven digits).",
    ]


def _by_hand(optimizer: Optimizer, name: str, place: tuple[int, ...], w: float, g: float, rate: float) -> list[str]:
    def remembered(what: str) -> float:
        array = optimizer.state.get(f"{name}/{what}")
        return 0.0 if array is None else float(array[place])

    lines = []
    if isinstance(optimizer, AdamW) and optimizer.decoupled_decay:
        decay = optimizer.decoupled_decay
        lines.append(f"w (1 - rate * {decay:g}) = {w * (1 - rate * decay):.7g}, the new w: weight decay")
        w *= 1 - rate * decay
    elif optimizer.weight_decay:
        g += optimizer.weight_decay * w
        lines.append(f"g + {optimizer.weight_decay:g} w = {g:.7g}, the new g: weight decay")
    if isinstance(optimizer, Adam):
        b1, b2, t = optimizer.beta_1, optimizer.beta_2, optimizer.steps + 1
        m, v = remembered("m"), remembered("v")
        new_m, new_v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        mean, square = new_m / (1 - b1**t), new_v / (1 - b2**t)
        new = w - rate * mean / (square**0.5 + optimizer.epsilon)
        return [
            *lines,
            f"m  = {b1:g} m + {1 - b1:g} g   = {b1:g} * {m:.6g} + {1 - b1:g} * {g:.6g} = {new_m:.7g}",
            f"v  = {b2:g} v + {1 - b2:g} g^2 = {b2:g} * {v:.6g} + {1 - b2:g} * {g * g:.6g} = {new_v:.7g}",
            f"m' = m / (1 - {b1:g}^{t}) = {mean:.7g}    m and v were 0 at first, hence are too small",
            f"v' = v / (1 - {b2:g}^{t}) = {square:.7g}",
            f"w - rate * m' / (sqrt(v') + {optimizer.epsilon:g}) = {new:.7g}, the new weight",
        ]
    if isinstance(optimizer, SGD):
        momentum, old = optimizer.momentum, remembered("velocity")
        velocity = momentum * old + g
        lines.append(f"v = {momentum:g} v + g = {momentum:g} * {old:.6g} + {g:.6g} = {velocity:.7g}")
        direction = "v"
        if optimizer.nesterov:
            velocity, direction = momentum * velocity + g, f"({momentum:g} v + g)"
        return [*lines, f"w - rate * {direction} = {w - rate * velocity:.7g}, the new weight"]
    return [_first_line(optimizer)]


def _row(name: str, taken_name: str, taken: Array, returned_name: str, returned: Array) -> str:
    shapes = f"{taken_name} {taken.shape} -> {returned_name} {returned.shape}"
    return f"  {name:<12} {shapes:<50} norm {_norm(taken):>9} -> {_norm(returned):>9}"


def _norm(array: Array) -> str:
    return f"{np.linalg.norm(array.astype(np.float64)):.4g}"


def _indented(text: str) -> str:
    return " " * 15 + text


def _digit(label: int) -> str:
    return str(label) if label < 10 else "none"


def _first_line(thing: object) -> str:
    return (type(thing).__doc__ or type(thing).__name__).strip().splitlines()[0]
