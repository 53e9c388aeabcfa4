"""Sequential: layers in a row, each fed by the one before."""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nncore import kernels
from nncore.errors import NNCoreError, OptionError, ShapeError, WeightsError
from nncore.layers import LAYERS, Conv2D, Layer
from nncore.layers.base import positive
from nncore.network import summary, weights
from nncore.network.fusion import CONVOLUTIONS, fuse, fuse_frozen
from nncore.types import Array, Shape

FORMAT, VERSION = "nncore network", 1
BATCH_SIZE = 128  # examples that are predicted at a time


class Sequential:
    """A network of layers in a row.

        network = Sequential([Flatten(), Dense(10)], input_shape=(28, 28, 1))
        logits = network.forward(x, training=True)     # x (N, 28, 28, 1) -> (N, 10)
        network.backward(dlogits)                      # fills the layers' gradients

    It runs its layers in fused `steps` (`nncore/network/fusion.py`). The numbers are those of a loop over the layers,
    up to rounding:

        for layer in network.layers:
            x = layer.forward(x, training=True)
        for layer in reversed(network.layers):
            dy = layer.backward(dy)

    Args:
        layers: the layers, each used once.
        input_shape: of one example, (height, width, channels) or (inputs,).
        seed: of the initial weights and of dropout. None: all weights are zero, to be overwritten by those of a file.
        dtype: float32 for training, float64 to check gradients.
        conv: how convolutions are computed: "auto", the quickest way for each, or one of `fusion.CONVOLUTIONS`.

    Attributes:
        made_by: how a loaded network was trained, as `save` was told.

    Raises ShapeError, naming the layer and both shapes, where two neighbours do not fit, and OptionError for no layers,
    a layer used twice (it remembers one forward pass only) or an impossible input_shape.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Shape,
        seed: int | None = 0,
        dtype: DTypeLike = np.float32,
        conv: str = "auto",
    ) -> None:
        self.layers = list(layers)
        self.input_shape = tuple(positive("Sequential", "each length of input_shape", length) for length in input_shape)
        if not self.layers or not self.input_shape:
            raise OptionError(f"Sequential: expected layers and an input_shape, not {layers!r} and {input_shape!r}")
        if len(set(map(id, self.layers))) < len(self.layers):
            raise OptionError("Sequential: a layer is used twice; make one for each place")
        if conv not in CONVOLUTIONS:
            raise OptionError(f"the convolution algorithm {conv!r} is unknown: choose {', '.join(CONVOLUTIONS)}")
        self.dtype = np.dtype(dtype)
        self.conv = conv
        self.names = layer_names(self.layers)
        self.shapes = layer_shapes(self.layers, self.input_shape)
        self.made_by: dict[str, Any] = {}
        self._frozen = False
        rng = None if seed is None else np.random.default_rng(seed)
        for layer, shape in zip(self.layers, self.shapes, strict=False):
            layer.build(shape, rng, self.dtype)

    @property
    def output_shape(self) -> Shape:
        """The shape of one example's output."""
        return self.shapes[-1]

    @functools.cached_property
    def steps(self) -> list[Layer]:
        """What runs: the layers, fused where they can be."""
        return (fuse_frozen if self._frozen else fuse)(self.layers, self.shapes, self.conv)

    def forward(self, x: Array, training: bool = False) -> Array:
        """The output of the last layer, (N, *output_shape), for a batch x (N, *input_shape).

        Without `training` it changes nothing, so several threads may predict with one network at once.
        """
        if training and self._frozen:
            raise OptionError("a frozen network only predicts: load or build another one to train it")
        x = self.batch(x)
        with kernels.turn():
            for step in self.steps:
                x = step.forward(x, training)
        return x

    def batch(self, x: Array) -> Array:
        """X as the layers take it: contiguous, of the network's dtype. ShapeError unless it is (N, *input_shape)."""
        if x.shape[1:] != self.input_shape:
            expected = ", ".join(["N", *map(str, self.input_shape)])
            raise ShapeError(f"the network takes batches ({expected}), but was given {x.shape}")
        return np.ascontiguousarray(x, self.dtype)

    def backward(self, dy: Array) -> None:
        """Fill the gradients of all parameters, from dL/dy of the last forward(x, training=True).

        This is the chain rule, from the last step to the first. Training needs no dL/dx; the loop over layers gives it.
        """
        with kernels.turn():
            for step in reversed(self.steps):
                dy = step.backward(dy)

    def predict(self, x: Array, batch_size: int = BATCH_SIZE) -> Array:
        """The output for any number of examples, computed in batches: needs the memory of one batch."""
        positive("predict", "batch_size", batch_size)
        y = np.empty((len(x), *self.output_shape), self.dtype)
        for start in range(0, len(x), batch_size):
            y[start : start + batch_size] = self.forward(x[start : start + batch_size])
        return y

    def freeze(self) -> None:
        """For a network that only predicts from now on: prepare the weights once.

        One example takes half the time then, and batch normalisation none at all after a convolution or a dense layer.
        Parameters and state become read-only: NumPy raises ValueError where one is to be changed.
        """
        for array in [*self.parameters().values(), *self.state().values()]:
            array.flags.writeable = False
        self._frozen = True
        vars(self).pop("steps", None)  # they are made anew when they are next needed

    def algorithms(self, batch_size: int = BATCH_SIZE) -> dict[str, str]:
        """How each convolution of so many examples is computed, by the layer's name: "direct", "winograd F(6, 3)"."""
        chosen = self._algorithms(batch_size)
        return {name: chosen[layer] for name, layer in zip(self.names, self.layers, strict=True) if layer in chosen}

    def _algorithms(self, batch_size: int) -> dict[Layer, str]:
        chosen: dict[Layer, str] = {layer: "im2col" for layer in self.layers if isinstance(layer, Conv2D)}
        for step in self.steps:
            chosen.update(getattr(step, "algorithms", lambda batch_size: {})(batch_size))
        return chosen

    def parameters(self) -> dict[str, Array]:
        """Every learned array by name, "conv2d_1.kernel" for instance: the arrays themselves, no copies."""
        return self._collect("parameters")

    def gradients(self) -> dict[str, Array]:
        """The gradients of the last backward pass, by the same names."""
        return self._collect("gradients")

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """What the layers keep beside their parameters, by name: running statistics, dropout's counters."""
        return self._collect("state")

    def _collect(self, attribute: str) -> dict[str, np.ndarray[Any, Any]]:
        return {
            f"{name}.{key}": array
            for name, layer in zip(self.names, self.layers, strict=True)
            for key, array in getattr(layer, attribute).items()
        }

    def assign(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Overwrite every parameter and state array, by name; WeightsError unless names, shapes and types all agree."""
        own = {**self.parameters(), **self.state()}
        for name in sorted(own.keys() | arrays.keys()):
            if name not in own or name not in arrays:
                raise WeightsError(
                    f"{name} is only in the {'network' if name in own else 'file'}: the two do not match"
                )
            if (own[name].shape, own[name].dtype) != (arrays[name].shape, arrays[name].dtype):
                raise WeightsError(
                    f"{name} is {own[name].dtype} {own[name].shape} in the network, "
                    f"but {arrays[name].dtype} {arrays[name].shape} in the file"
                )
            if not np.isfinite(arrays[name]).all():
                raise WeightsError(f"{name} holds numbers that are infinite or not numbers at all")
        for name, array in own.items():
            array[...] = arrays[name]

    def architecture(self) -> dict[str, Any]:
        """What `save` writes of the network's shape: enough to build it again."""
        layers = [{"type": type(layer).__name__, **layer.config()} for layer in self.layers]
        return {"input_shape": self.input_shape, "dtype": self.dtype.name, "layers": layers}

    def save(self, path: str | Path, made_by: Mapping[str, Any] | None = None) -> None:
        """Write architecture, parameters and state to an `.npz`, with a note on how they were made."""
        description = {
            "format": FORMAT,
            "version": VERSION,
            "architecture": self.architecture(),
            "made_by": dict(made_by or self.made_by),
        }
        weights.write(path, {**self.parameters(), **self.state()}, description)

    @classmethod
    def load(cls, path: str | Path, conv: str = "auto") -> "Sequential":
        """The network that a file holds. WeightsError, naming the file and the reason, if it is not one."""
        with weights.Reader(path) as file:
            try:
                network = _build(file.metadata, file.shapes, conv)
                network.assign(file.arrays())
            except NNCoreError as error:
                raise WeightsError(f"{path} cannot be used: {error}") from None
        return network

    def summary(self) -> str:
        """A table: what each layer is, the shape that it returns, its parameters and its work for one example."""
        return summary.table(self.layers, self.shapes, self._algorithms(BATCH_SIZE), BATCH_SIZE)

    def count_parameters(self) -> int:
        """How many numbers training changes."""
        return sum(array.size for array in self.parameters().values())

    def flops(self) -> int:
        """Additions and multiplications of one example's forward pass."""
        return sum(layer.flops(shape) for layer, shape in zip(self.layers, self.shapes, strict=False))


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """conv2d_1, relu_1, conv2d_2, ...: a name for each layer, counted by kind."""
    seen: Counter[str] = Counter()
    names = []
    for layer in layers:
        kind = type(layer).__name__.lower()
        seen[kind] += 1
        names.append(f"{kind}_{seen[kind]}")
    return names


def layer_shapes(layers: Sequence[Layer], input_shape: Shape) -> list[Shape]:
    """The input's shape and every layer's output shape, nothing allocated; ShapeError where layers do not fit."""
    shapes = [tuple(input_shape)]
    for name, layer in zip(layer_names(layers), layers, strict=True):
        try:
            shapes.append(layer.output_shape(shapes[-1]))
        except ShapeError as error:
            raise ShapeError(f"{name}: {error}") from None
    return shapes


def parameter_shapes(layers: Sequence[Layer], input_shape: Shape) -> Iterator[tuple[str, Shape]]:
    """The name and shape of every parameter the layers would have, nothing allocated."""
    shapes = layer_shapes(layers, input_shape)
    for name, layer, shape in zip(layer_names(layers), layers, shapes, strict=False):
        for key, value in layer.parameter_shapes(shape).items():
            yield f"{name}.{key}", value


def _build(metadata: Mapping[str, Any], shapes: Mapping[str, Shape], conv: str) -> Sequential:
    """A network with fresh weights as a file describes it; built only if the file holds arrays of just that size."""
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"it says it is {metadata.get('format')!r}, not {FORMAT!r}")
    if metadata.get("version") != VERSION:
        raise WeightsError(f"it has version {metadata.get('version')!r}, this nncore reads version {VERSION}")
    try:
        architecture = metadata["architecture"]
        layers = [_layer(**config) for config in architecture["layers"]]
        input_shape = tuple(architecture["input_shape"])
        dtype = {"float32": np.float32, "float64": np.float64}[architecture["dtype"]]
        made_by = dict(metadata["made_by"])
        for name, shape in parameter_shapes(layers, input_shape):
            if shapes.get(name) != shape:
                raise WeightsError(f"{name} should have the shape {shape}, but has {shapes.get(name)}")
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise WeightsError(f"its description of the network makes no sense ({type(error).__name__}: {error})") from None
    network = Sequential(layers, input_shape, seed=None, dtype=dtype, conv=conv)
    network.made_by = made_by
    return network


def _layer(type: str, **config: Any) -> Layer:
    config.pop("algorithm", None)  # older files say by which algorithm a convolution is to be computed
    if type not in LAYERS:
        raise WeightsError(f"it has a layer {type!r}, which this nncore does not know")
    return LAYERS[type](**config)
