"""The fused steps: one or several layers computed by kernels, which the layers' own NumPy defines.

A step has the `forward` and `backward` of a layer. It takes parameters from its layers and leaves gradients and state
with them. `backward` returns dx, or None where the network begins: nobody needs the gradient of the pictures.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nncore.kernels import batchnorm, dense, pooling, random
from nncore.layers import Dropout, Layer
from nncore.types import Array, Mask, Shape


class Place(NamedTuple):
    """Where in a network a step stands."""

    shape: Shape  # of one example that comes in
    conv: str  # how convolutions are to be computed: one of fusion.CONVOLUTIONS
    begins: bool  # whether it is the network's first


class FusedStep(Layer):
    """What the fused steps have in common."""

    def __init__(self, layers: Sequence[Any], place: Place) -> None:
        super().__init__()
        self.layers: tuple[Any, ...] = tuple(layers)

    @classmethod
    def serves(cls, layers: Sequence[Any], place: Place) -> bool:
        """Whether these layers can be computed so; they are of the kinds that the pattern names."""
        return True

    def describe(self) -> str:
        return " + ".join(layer.describe() for layer in self.layers)


def keep_gradients(layer: Any, dkernel: Array, dbias: Array | None) -> None:
    """Leave the gradients of a convolution or a dense layer with it."""
    layer.gradients["kernel"] = dkernel.reshape(layer.parameters["kernel"].shape)
    if layer.use_bias:
        layer.gradients["bias"] = dbias


def draw_mask(dropout: Dropout | None, shape: Shape) -> tuple[Mask | None, float]:
    """Dropout's next mask, and what to multiply with what it keeps; None where there is no dropout."""
    if dropout is None:
        return None, 1.0
    return random.bernoulli(shape, 1 - dropout.rate, dropout.next_key()), 1 / (1 - dropout.rate)


class FusedMaxPool(FusedStep):
    """y = dropout(max_pool(x)); the dropout may be missing. A number that it leaves out has no winner."""

    def __init__(self, layers: Sequence[Any], place: Place) -> None:
        super().__init__(layers, place)
        self.pool, self.dropout = (*layers, None)[:2]

    def forward(self, x: Array, training: bool = False) -> Array:
        pool = self.pool
        kept, scale = draw_mask(self.dropout, (len(x), *pool.output_shape(x.shape[1:]))) if training else (None, 1.0)
        y, winners = pooling.max_pool(x, pool.pool_size, pool.stride, kept, scale)
        self.remember(training, winners, x.shape, scale)
        return y

    def backward(self, dy: Array) -> Array:
        winners, x_shape, scale = self.recall()
        return pooling.max_pool_backward(dy, winners, x_shape, self.pool.pool_size, self.pool.stride, scale)


class FusedAvgPool(FusedStep):
    """`AvgPool2D` by a kernel."""

    def forward(self, x: Array, training: bool = False) -> Array:
        self.remember(training, x.shape)
        return pooling.avg_pool(x, self.layers[0].pool_size, self.layers[0].stride)

    def backward(self, dy: Array) -> Array:
        (x_shape,) = self.recall()
        return pooling.avg_pool_backward(dy, x_shape, self.layers[0].pool_size, self.layers[0].stride)


class FusedBatchNorm(FusedStep):
    """y = ReLU(batch_norm(x)), three times through memory forward and four times back; the ReLU may be missing."""

    def forward(self, x: Array, training: bool = False) -> Array:
        norm, relu = self.layers[0], len(self.layers) > 1
        mean, variance = norm.state["running_mean"], norm.state["running_variance"]
        if training:
            mean, variance = batchnorm.channel_moments(x)
            norm.update_running(mean, variance, count=x.size // x.shape[-1])
        self.remember(training, x, mean, variance)
        gamma, beta = norm.parameters.values()
        return batchnorm.batch_norm(x, mean, variance, gamma, beta, norm.epsilon, relu)

    def backward(self, dy: Array) -> Array:
        x, mean, variance = self.recall()
        norm, relu = self.layers[0], len(self.layers) > 1
        gamma, beta = norm.parameters.values()
        dx, dgamma, dbeta = batchnorm.batch_norm_backward(dy, x, mean, variance, gamma, beta, norm.epsilon, relu)
        norm.gradients.update(gamma=dgamma, beta=dbeta)
        return dx


class FusedDense(FusedStep):
    """`Dense` by a kernel."""

    def forward(self, x: Array, training: bool = False) -> Array:
        layer = self.layers[0]
        y = dense.matmul(x, layer.parameters["kernel"])
        if layer.use_bias:
            y += layer.parameters["bias"]
        self.remember(training, x)
        return y

    def backward(self, dy: Array) -> Array:
        (x,) = self.recall()
        keep_gradients(self.layers[0], dense.matmul(x.T, dy), dy.sum(axis=0))
        return dense.matmul(dy, self.layers[0].parameters["kernel"].T)


class FusedDropout(FusedStep):
    """`Dropout` with a mask that is drawn by a kernel."""

    def forward(self, x: Array, training: bool = False) -> Array:
        if not training:
            return x
        kept: Any
        kept, scale = draw_mask(self.layers[0], x.shape)
        factor = x.dtype.type(scale)
        self.remember(training, kept, factor)
        y: Array = x * kept * factor
        return y

    def backward(self, dy: Array) -> Array:
        kept, factor = self.recall()
        dx: Array = dy * kept * factor
        return dx
