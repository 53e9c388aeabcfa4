"""The networks that are timed, and how they reach every program: as nncore's weights file and a list of layers."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nncore.layers import BatchNorm, Conv2D, Dense, Flatten, MaxPool2D, ReLU
from nncore.network.models import MODELS
from nncore.network.sequential import Sequential


def batchnorm() -> Sequential:
    """Other kernels, padding and batch normalisation, so that nothing is tuned to one shape; 0.46 million parameters.

    No bias before the normalisation, which would take it away again.
    """
    return Sequential(
        [
            Conv2D(32, 5, padding="same", use_bias=False),
            BatchNorm(),
            ReLU(),
            MaxPool2D(2),
            Conv2D(64, 5, padding="same", use_bias=False),
            BatchNorm(),
            ReLU(),
            MaxPool2D(2),
            Flatten(),
            Dense(128),
            ReLU(),
            Dense(10, initializer="glorot"),
        ],
        input_shape=(28, 28, 1),
    )


NETWORKS: dict[str, Callable[[], Sequential]] = {**MODELS, "batchnorm": batchnorm}


def unsettle(network: Sequential) -> None:
    """Move what starts at zero or one, biases and running averages, so that one in the wrong place shows."""
    rng = np.random.default_rng(0)
    for name, array in {**network.parameters(), **network.state()}.items():
        if name.endswith((".gamma", ".running_variance")):
            array[...] = rng.uniform(0.5, 1.5, array.shape)
        elif array.ndim == 1 and array.dtype == np.float32:
            array[...] = rng.normal(0, 0.1, array.shape)


def write(network: Sequential, folder: Path) -> None:
    """Write the network for `protocol.read_network`."""
    folder.mkdir(parents=True, exist_ok=True)
    network.save(folder / "weights.npz")
    rows = []
    for name, layer, shape in zip(network.names, network.layers, network.shapes, strict=False):
        settings = layer.config()
        if isinstance(layer, Conv2D):
            settings["padding"] = layer.padding_for(shape[:2])
        rows.append({"name": name, "type": type(layer).__name__, "settings": settings, "input_shape": shape})
    (folder / "layers.json").write_text(json.dumps(rows, indent=1))


def write_batches(path: Path, network: Sequential, count: int, batch_size: int) -> None:
    """Write `count` batches for the command `load`.

    The images are noise: in the background of digits max-pooling meets ties, where programs may rightly differ.
    """
    rng = np.random.default_rng(1)
    images = rng.random((count, batch_size, *network.input_shape), np.float32)
    labels = rng.integers(network.output_shape[0], size=(count, batch_size))
    np.savez(path, images=images, labels=labels)
