"""What the gradient check tries: layers one by one, and layers that become fused steps."""

from collections.abc import Callable
from typing import Any

from nncore import layers
from nncore.layers import Layer
from nncore.types import Shape

LayerCase = tuple[str, Callable[[], Layer], Shape]

LAYER_CASES: dict[str, list[LayerCase]] = {
    "Conv2D": [
        ("3x3 valid", lambda: layers.Conv2D(3, 3), (5, 6, 2)),
        ("3x3 same, stride 2", lambda: layers.Conv2D(2, 3, stride=2, padding="same"), (5, 6, 3)),
        (
            "2x3 explicit, stride 3x2, no bias",
            lambda: layers.Conv2D(2, (2, 3), (3, 2), ((1, 0), (2, 1)), False),
            (7, 6, 2),
        ),
        ("1x1", lambda: layers.Conv2D(4, 1), (3, 3, 1)),
        ("5x5, padding 2", lambda: layers.Conv2D(2, 5, padding=2), (5, 5, 1)),
        ("3x2, stride 2x1, nine channels", lambda: layers.Conv2D(2, (3, 2), (2, 1), 1), (4, 4, 9)),
    ],
    "MaxPool2D": [
        ("2x2", lambda: layers.MaxPool2D(2), (5, 4, 3)),
        ("3x2, stride 2x1, overlapping", lambda: layers.MaxPool2D((3, 2), (2, 1)), (6, 5, 2)),
    ],
    "AvgPool2D": [
        ("2x2", lambda: layers.AvgPool2D(2), (5, 4, 3)),
        ("3x2, stride 2x1, overlapping", lambda: layers.AvgPool2D((3, 2), (2, 1)), (6, 5, 2)),
    ],
    "GlobalAvgPool2D": [("4x3", lambda: layers.GlobalAvgPool2D(), (4, 3, 2))],
    "Flatten": [("image", lambda: layers.Flatten(), (3, 2, 2))],
    "Dense": [
        ("7 to 4", lambda: layers.Dense(4), (7,)),
        ("3 to 5, no bias", lambda: layers.Dense(5, use_bias=False), (3,)),
    ],
    "Dropout": [("rate 0.4", lambda: layers.Dropout(0.4), (4, 3, 2)), ("rate 0", lambda: layers.Dropout(0.0), (5,))],
    "BatchNorm": [
        ("image", lambda: layers.BatchNorm(), (3, 4, 2)),
        ("rows", lambda: layers.BatchNorm(epsilon=0.1), (5,)),
    ],
    "ReLU": [("image", lambda: layers.ReLU(), (3, 4, 2))],
    "LeakyReLU": [("slope 0.1", lambda: layers.LeakyReLU(0.1), (3, 4, 2))],
    "Sigmoid": [("image", lambda: layers.Sigmoid(), (3, 4, 2))],
    "Tanh": [("image", lambda: layers.Tanh(), (3, 4, 2))],
    "Softmax": [
        ("rows", lambda: layers.Softmax(), (6,)),
        ("channels of an image", lambda: layers.Softmax(), (2, 2, 3)),
    ],
}


def _conv(filters: int, size: int, **options: Any) -> list[Layer]:
    return [layers.Conv2D(filters, size, **options), layers.ReLU()]


FUSED_CASES: dict[str, tuple[Callable[[], list[Layer]], Shape, str]] = {
    "MaxPool2D + Dropout": (lambda: [layers.MaxPool2D((3, 2), (2, 1)), layers.Dropout(0.3)], (6, 5, 3), "auto"),
    "BatchNorm + ReLU": (lambda: [layers.BatchNorm(), layers.ReLU()], (3, 4, 5), "auto"),
    "Conv2D + ReLU, direct": (lambda: _conv(5, 3, stride=2, padding=1), (7, 6, 3), "direct"),
    "Conv2D + ReLU, im2col": (lambda: _conv(5, 3, padding="same"), (7, 6, 3), "im2col"),
    "Conv2D + ReLU, winograd": (lambda: _conv(5, 3, padding="same", use_bias=False), (11, 12, 3), "winograd"),
    "Conv2D + ReLU + MaxPool2D": (lambda: [*_conv(5, 3, padding=1), layers.MaxPool2D(2)], (11, 12, 3), "winograd"),
    "Conv2D + ReLU + MaxPool2D + Dropout": (
        lambda: [*_conv(5, 3), layers.MaxPool2D(2), layers.Dropout(0.3)],
        (12, 12, 3),
        "winograd",
    ),
}
"""Layers that follow others, as (what makes them, the shape of one input, how convolutions are computed)."""

FUSED_BEGINNINGS: dict[str, tuple[Callable[[], list[Layer]], Shape, str]] = {
    "first Conv2D": (lambda: [layers.Conv2D(5, 3, padding="same")], (6, 7, 3), "auto"),
    "first Conv2D + ReLU": (lambda: _conv(5, 3, padding=((1, 0), (2, 1))), (6, 7, 3), "auto"),
    "first Conv2D + ReLU + MaxPool2D": (lambda: [*_conv(5, 3), layers.MaxPool2D(2)], (9, 8, 2), "auto"),
    "first Conv2D + ReLU + MaxPool2D + Dropout": (
        lambda: [*_conv(5, 3), layers.MaxPool2D(2), layers.Dropout(0.3)],
        (9, 8, 2),
        "auto",
    ),
    "two Conv2D + ReLU": (lambda: [*_conv(24, 3), *_conv(24, 3, padding="same")], (13, 14, 1), "auto"),
    "two Conv2D + ReLU, MaxPool2D": (
        lambda: [*_conv(24, 3, padding=1), *_conv(24, 3), layers.MaxPool2D(2)],
        (12, 13, 2),
        "auto",
    ),
    "two Conv2D + ReLU, MaxPool2D, Dropout": (
        lambda: [*_conv(24, 3), *_conv(24, 3), layers.MaxPool2D(2), layers.Dropout(0.3)],
        (16, 16, 1),
        "auto",
    ),
}
"""The same of what a network begins with, where nobody needs dx."""
