"""A convolutional network written by hand in NumPy and Numba."""

from nncore.machine import settle

settle()  # before NumPy and Numba start their threads

from nncore.layers import (  # noqa: E402
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from nncore.losses import MeanSquaredError, SoftmaxCrossEntropy  # noqa: E402
from nncore.network.sequential import Sequential  # noqa: E402

__all__ = [
    "AvgPool2D",
    "BatchNorm",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2D",
    "LeakyReLU",
    "MaxPool2D",
    "MeanSquaredError",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Tanh",
]
