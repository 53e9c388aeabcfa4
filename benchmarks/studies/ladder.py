"""The steps from plain loops to the fast engine: what `benchmarks.studies.steps` times, and where it is in the code."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from benchmarks.studies import loops
from nncore.kernels.conv import choose, passes, winograd
from nncore.kernels.simd import vector as simd
from nncore.layers import Conv2D
from nncore.losses import SoftmaxCrossEntropy
from nncore.network import fusion
from nncore.network.models import reference as reference_network
from nncore.network.sequential import Sequential
from nncore.optimizers import Adam
from nncore.types import Array, Padding, Pair, Shape

BATCH, SOME, FEW = 128, 16, 2  # images in a call, less of them for what is slow
X_SHAPE, FILTERS = (26, 26, 64), 128  # conv2 of the reference network
ONCE: Pair = (1, 1)
NO_PADDING: Padding = ((0, 0), (0, 0))
TILES = 2, 3, 4, 5, 6


class Step(NamedTuple):
    """One way to do it.

    Attributes:
        name: what is new.
        place: where it is in the code.
        images: how many a call works on; a fraction where it works on a part of one.
        run: does it.
        result: the y of which the error is taken; its first numbers along each axis are enough.
    """

    name: str
    place: str
    images: float
    run: Callable[[], Any]
    result: Callable[[], Array] | None = None


class Group(NamedTuple):
    """Steps that do the same work; `flops` is what direct convolution takes for an image, `expected` the y of it."""

    title: str
    flops: float
    steps: Sequence[Step]
    expected: Array | None = None


def at(place: str) -> str:
    """Where it is: a kernel in its file, or a function of `loops.py`."""
    return f"nncore/kernels/{place}" if ".py" in place else f"benchmarks/studies/loops.py: {place}"


def arrays(*shapes: Shape) -> list[Array]:
    """Random numbers around zero."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def conv2() -> tuple[Array, Array, Array, int]:
    """x, kernel, an array of the shape of y, and the FLOPs for an image."""
    shape = BATCH, X_SHAPE[0] - 2, X_SHAPE[1] - 2, FILTERS
    x, kernel, dy = arrays((BATCH, *X_SHAPE), (3, 3, X_SHAPE[2], FILTERS), shape)
    return x, kernel, dy, Conv2D(FILTERS, 3).flops(X_SHAPE)


def forward() -> Group:
    """One convolution, from loops to Winograd's algorithm."""
    x, kernel, dy, flops = conv2()
    ways = choose.ALGORITHMS

    def by_loops(
        name: str, place: str, function: Callable[..., None], images: int, shape: Shape = dy.shape[1:]
    ) -> Step:
        y = np.empty((images, *shape), np.float32)
        run = functools.partial(function, x, kernel[..., : shape[2]], y)
        return Step(name, f"benchmarks/studies/loops.py: {place}", y.size / dy[0].size, run, lambda: y)

    def by(name: str, place: str, function: Callable[..., Array], images: int = BATCH) -> Step:
        run = functools.partial(function, x[:images], kernel, ONCE, NO_PADDING)
        return Step(name, at(place), images, run, run)

    def by_tiles(m: int) -> Step:
        function = changed(winograd.forward, best_tile=lambda *shape: winograd.Tile(m, 3))
        return by(f"Winograd, F({m}, 3)", "conv/winograd.py: forward", function)

    steps = [
        by_loops("loops in Python", "loops", loops.loops, 1, (1, 1, 8)),
        by_loops("the same loops, compiled", "loops", loops.compiled, FEW),
        by_loops("the innermost loop along memory", "loops_along_memory", loops.along_memory, SOME),
        by_loops("shared among threads", "loops_along_memory", loops.in_parallel, SOME),
        by("NumPy, a product for each tap", "taps", loops.taps, SOME),
        by("im2col and BLAS", "conv/im2col.py: forward", ways["im2col"].forward),
        by("direct, in registers", "conv/direct.py: forward", ways["direct"].forward),
        *map(by_tiles, TILES),
    ]
    expected = loops.taps(x[:FEW].astype(np.float64), kernel.astype(np.float64), ONCE, NO_PADDING)
    return Group("One convolution, forward", flops, steps, expected)


def backward() -> Group:
    """The gradients of its input and its kernel."""
    x, kernel, dy, flops = conv2()
    ways = choose.ALGORITHMS

    def by(name: str, place: str, function: Callable[..., Any], images: int = BATCH) -> Step:
        run = functools.partial(function, x[:images], kernel, dy[:images], ONCE, NO_PADDING)
        return Step(name, at(place), images, run)

    steps = [
        by("NumPy, products for each tap", "taps_backward", loops.taps_backward, SOME),
        by("im2col and BLAS", "conv/im2col.py: backward", ways["im2col"].backward),
        by("direct, in registers", "conv/direct.py: backward", ways["direct"].backward),
        by("Winograd", "conv/winograd.py: backward", ways["winograd"].backward),
    ]
    return Group("The same convolution, backward", 2 * flops, steps)


def caches() -> Group:
    """Winograd's algorithm without what keeps in the cache what is wanted there, and with one after the other."""
    x, kernel, _, flops = conv2()
    call = functools.partial(winograd.forward, x, kernel, ONCE, NO_PADDING)
    level, staggered = (loops.remade(passes.forward_pass, STAGGER=gap) for gap in (0, passes.STAGGER))
    with patch.object(simd.Window, "prefetch", lambda *place: None):
        for forward_pass in (level, staggered):
            changed(call, forward_pass=forward_pass)()  # compiles it now, without what asks ahead
    without = {"forward_pass": level, "STAGGER": 0}
    steps = [
        Step(name, f"nncore/kernels/{place}" if place else "", BATCH, changed(call, **changes))
        for name, place, changes in (
            ("all tiles of a thread at once", "", {**without, "CHUNK_BYTES": 2**40}),
            ("chunk by chunk", "conv/winograd.py: CHUNK_BYTES", without),
            ("planes staggered", "conv/passes.py: STAGGER", {"forward_pass": staggered}),
            ("asked for ahead", "simd/product.py: prefetch", {}),
        )
    ]
    return Group("The same convolution by Winograd, and the caches", flops, steps)


def changed(call: Callable[..., Any], **changes: Any) -> Callable[..., Any]:
    """The call, while names in `nncore.kernels.conv.winograd` mean something else."""

    def run(*arguments: Any) -> Any:
        before = {name: getattr(winograd, name) for name in changes}
        vars(winograd).update(changes)
        try:
            return call(*arguments)
        finally:
            vars(winograd).update(before)

    return run


def first_layers() -> Group:
    """Two convolutions with all that belongs to them, up to the first dropout, forward and backward."""
    return training("The first six layers, forward and backward", 6)


def whole_network() -> Group:
    """All of them, the loss and Adam."""
    return training("A step of training", None)


def training(title: str, count: int | None) -> Group:
    """The first `count` layers of the reference network, or the whole network with loss and optimizer."""
    (x,), labels, steps = arrays((BATCH, 28, 28, 1)), np.arange(BATCH) % 10, []
    patterns = fusion.patterns()
    for name, place, fused in (
        ("layer by layer, in NumPy", "layers/conv.py: Conv2D", ()),
        ("each layer by a kernel", "network/fused_layers.py: FusedDense", [p for p in patterns if len(p[0]) == 1]),
        ("fused", "network/fused_conv.py: FusedConv", [p for p in patterns if p[0].count(Conv2D) < 2]),
        ("conv1 within the tiles of conv2", "kernels/conv/first_conv.py: FirstConv", patterns),
    ):
        network = Sequential(reference_network().layers[:count], (28, 28, 1))
        with patch.object(fusion, "patterns", lambda fused=fused: fused):
            _ = network.steps  # fused now, once for all
        if count:
            run = functools.partial(forward_and_backward, network, x)
        else:
            run = functools.partial(step, network, SoftmaxCrossEntropy(), Adam(), x, labels)
        steps.append(Step(name, f"nncore/{place}", BATCH, run))
    flops = 3 * network.flops() - network.layers[0].flops((28, 28, 1))  # images need no gradient
    return Group(title, flops, steps)


def forward_and_backward(network: Sequential, x: Array) -> None:
    """With the output in the place of its own gradient."""
    network.backward(network.forward(x, training=True))


def step(network: Sequential, loss: SoftmaxCrossEntropy, adam: Adam, x: Array, labels: Any) -> None:
    """As in `train_scratch.py`."""
    loss.forward(network.forward(x, training=True), labels)
    network.backward(loss.backward())
    adam.step(network.parameters(), network.gradients())


GROUPS: Sequence[Callable[[], Group]] = (forward, backward, caches, first_layers, whole_network)
