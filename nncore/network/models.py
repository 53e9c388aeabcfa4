"""The named networks."""

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU
from nncore.network.sequential import Sequential


def reference(seed: int = 0, dtype: DTypeLike = np.float32, conv: str = "auto") -> Sequential:
    """The network people learn from: three convolutions, two dense layers, 1,044,106 parameters."""
    return Sequential(
        [
            Conv2D(64, 3),
            ReLU(),
            Conv2D(128, 3),
            ReLU(),
            MaxPool2D(2),
            Dropout(0.25),
            Conv2D(128, 3),
            ReLU(),
            MaxPool2D(2),
            Dropout(0.25),
            Flatten(),
            Dense(256),
            ReLU(),
            Dropout(0.5),
            Dense(10, initializer="glorot"),
        ],
        input_shape=(28, 28, 1),
        seed=seed,
        dtype=dtype,
        conv=conv,
    )


def compact(seed: int = 0, dtype: DTypeLike = np.float32, conv: str = "auto") -> Sequential:
    """A tenth of the reference network in parameters and in work, for quick runs."""
    return Sequential(
        [
            Conv2D(16, 3),
            ReLU(),
            MaxPool2D(2),
            Conv2D(32, 3),
            ReLU(),
            MaxPool2D(2),
            Flatten(),
            Dense(112),
            ReLU(),
            Dropout(0.25),
            Dense(10, initializer="glorot"),
        ],
        input_shape=(28, 28, 1),
        seed=seed,
        dtype=dtype,
        conv=conv,
    )


def recogniser(seed: int = 0, dtype: DTypeLike = np.float32, conv: str = "auto") -> Sequential:
    """The network behind the demo: pairs of convolutions with batch normalisation; class 10 is "not a digit"."""
    layers: list[Layer] = []
    for filters, padding, dropped in ((48, "valid", 0.15), (96, "same", 0.15), (160, "same", 0.4)):
        for _ in range(2):
            layers += [Conv2D(filters, 3, padding=padding, use_bias=False), BatchNorm(), ReLU()]
        layers += [MaxPool2D(2), Dropout(dropped)]
    layers += [Flatten(), Dense(11, initializer="glorot")]
    return Sequential(layers, input_shape=(28, 28, 1), seed=seed, dtype=dtype, conv=conv)


MODELS: dict[str, Callable[..., Sequential]] = {
    "reference": reference,
    "compact": compact,
    "recogniser": recogniser,
}
