"""Fusion: neighbouring layers that one kernel can compute together become one step.

Layer by layer, the output of a convolution goes out to memory and comes back for the bias, for ReLU, for pooling and
for dropout. In a fused step all of that happens to it while it is still in the cache. The numbers are the same up to
rounding, and dropout's masks to the bit. Parameters, gradients and state stay in the layers. A layer that fits no
pattern is a step by itself, so a new layer need not know of this.
"""

import functools
from collections.abc import Sequence
from typing import Any

from nncore import kernels
from nncore.errors import OptionError
from nncore.layers import AvgPool2D, BatchNorm, Conv2D, Dense, Dropout, Layer, MaxPool2D, ReLU
from nncore.types import Shape

CONVOLUTIONS = ("auto", "im2col", "direct", "winograd")
"""How convolutions can be computed; "auto" is the quickest way for each."""


def fuse(layers: Sequence[Layer], shapes: Sequence[Shape], conv: str = "auto") -> list[Layer]:
    """The layers as steps, in order, fused where they can be; shapes[i] is the shape of one example before layer i.

    conv: one of CONVOLUTIONS. Where there are no kernels, the steps are the layers. Raises OptionError where a
    convolution cannot be computed in the way that was asked for.
    """
    if not kernels.available():
        if conv not in ("auto", "im2col"):
            raise OptionError(f"the convolution algorithm {conv!r} needs Numba, which is missing or switched off")
        return list(layers)
    from nncore.network.fused_layers import Place

    steps: list[Layer] = []
    at = 0
    while at < len(layers):
        place, step = Place(shapes[at], conv, at == 0), layers[at]
        for kinds, fused in patterns():
            group = layers[at : at + len(kinds)]
            if tuple(map(type, group)) == kinds and fused.serves(group, place):
                step = fused(group, place)
                break
        steps.append(step)
        at += len(layers_of(step))
    return steps


@functools.cache
def patterns() -> Sequence[tuple[tuple[type[Layer], ...], Any]]:
    """What is fused into which step: of those that the next layers fit, the first whose step serves them."""
    from nncore.network.fused_conv import FusedConv
    from nncore.network.fused_layers import FusedAvgPool, FusedBatchNorm, FusedDense, FusedDropout, FusedMaxPool

    return (
        ((Conv2D, ReLU, Conv2D, ReLU, MaxPool2D, Dropout), FusedConv),
        ((Conv2D, ReLU, Conv2D, ReLU, MaxPool2D), FusedConv),
        ((Conv2D, ReLU, Conv2D, ReLU), FusedConv),
        ((Conv2D, ReLU, MaxPool2D, Dropout), FusedConv),
        ((Conv2D, ReLU, MaxPool2D), FusedConv),
        ((Conv2D, ReLU), FusedConv),
        ((Conv2D,), FusedConv),
        ((BatchNorm, ReLU), FusedBatchNorm),
        ((BatchNorm,), FusedBatchNorm),
        ((MaxPool2D, Dropout), FusedMaxPool),
        ((MaxPool2D,), FusedMaxPool),
        ((AvgPool2D,), FusedAvgPool),
        ((Dense,), FusedDense),
        ((Dropout,), FusedDropout),
    )


def layers_of(step: Layer) -> Sequence[Layer]:
    """The layers that a step computes: those fused in it, or itself."""
    layers: Sequence[Layer] = getattr(step, "layers", (step,))
    return layers


def multiplies_by_blas(conv: str) -> bool:
    """Whether convolutions computed in this way leave their products to BLAS."""
    return conv == "im2col" or not kernels.available()


def fuse_frozen(layers: Sequence[Layer], shapes: Sequence[Shape], conv: str = "auto") -> list[Layer]:
    """Steps that only predict, from the weights as they are now, with everything made ready that depends on these."""
    steps = fuse(*fold_batch_norm(layers, shapes), conv)
    for step in steps:
        if hasattr(step, "freeze"):
            step.freeze()
    return steps


def fold_batch_norm(layers: Sequence[Layer], shapes: Sequence[Shape]) -> tuple[list[Layer], list[Shape]]:
    """What predicts the same without the BatchNorm after a convolution or a dense layer: the weights take it in.

    Returns layers and the shapes before them. Those given stay as they are.
    """
    folded: list[Layer] = []
    before: list[Shape] = []
    for layer, shape in zip(layers, shapes, strict=False):
        if folded and isinstance(layer, BatchNorm) and type(folded[-1]) in (Conv2D, Dense):
            folded[-1] = _fold(folded[-1], layer)
        else:
            folded.append(layer)
            before.append(shape)
    return folded, before


def _fold(layer: Any, norm: BatchNorm) -> Layer:
    """The layer x (w * scale) + b * scale + shift."""
    (scale, shift), kernel = norm.scale_and_shift(), layer.parameters["kernel"]
    both: Layer = type(layer)(**{**layer.config(), "use_bias": True})
    bias = layer.parameters.get("bias", 0) * scale + shift
    both.parameters = {"kernel": (kernel * scale).astype(kernel.dtype), "bias": bias.astype(kernel.dtype)}
    return both
