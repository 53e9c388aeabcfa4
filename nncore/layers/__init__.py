"""The layers, one file a concept."""

from nncore.layers.activations import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from nncore.layers.base import Layer
from nncore.layers.batchnorm import BatchNorm
from nncore.layers.conv import Conv2D
from nncore.layers.dense import Dense
from nncore.layers.dropout import Dropout
from nncore.layers.flatten import Flatten
from nncore.layers.pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Conv2D,
        MaxPool2D,
        AvgPool2D,
        GlobalAvgPool2D,
        Flatten,
        Dense,
        Dropout,
        BatchNorm,
        ReLU,
        LeakyReLU,
        Sigmoid,
        Tanh,
        Softmax,
    )
}
"""Every layer by its class's name: what a weights file may name."""

__all__ = [
    "LAYERS",
    "AvgPool2D",
    "BatchNorm",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2D",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
