"""Convolution: one small set of weights looks at every place of the image."""

from typing import Any

from nncore.errors import OptionError, ShapeError
from nncore.layers.base import Layer, pair, positive, require_image
from nncore.layers.initializers import check_initializer
from nncore.layers.windows import col2im, im2col, output_size
from nncore.types import Array, Padding, Pair, Shape


class Conv2D(Layer):
    """Two-dimensional convolution, x (N, H, W, C) -> y (N, OH, OW, filters).

        y[n, i, j, f] = b[f] + sum over ky, kx, c of x[n, i*stride + ky, j*stride + kx, c] * w[ky, kx, c, f]

    where x counts as zero in the padding. (The kernel is not flipped: like every framework, we call this
    cross-correlation a convolution.) It is a dense layer that is applied to every window of the image. With the windows
    laid out as the rows of a matrix X (`im2col`) and w as a matrix W,

        Y = X W + b

    **Backward**, from dY: each dy[n, i, j, f] was made by a sum of products x * w, so it sends dy * x to each w and
    dy * w to each x of its window; contributions to one w (from all places) and to one x (from all windows that saw it)
    add up. In matrices, as for any product,

        dW = X^T dY        dX = dY W^T        db = sum of the rows of dY

    and dx is dX with each row added back onto its window (`col2im`).

    Args:
        filters: how many kernels, hence output channels.
        kernel_size: the window's size, one number or (height, width).
        stride: the window's step, one number or (vertical, horizontal). A last step that does not fit is not made.
        padding: "valid" (none), "same" (output = input / stride, rounded up; an odd pixel goes to the bottom and the
            right, as in TensorFlow), a number of pixels on each side, (vertical, horizontal), or
            ((top, bottom), (left, right)).
        use_bias: whether there is b; without it, a BatchNorm that follows brings its own.
        initializer: "he" or "glorot".

    Source: Goodfellow, Bengio & Courville, "Deep Learning" (2016), section 9.1 and equations 9.8 to 9.13.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: str | int | Pair | Padding = "valid",
        use_bias: bool = True,
        initializer: str = "he",
    ) -> None:
        super().__init__()
        self.filters = positive("Conv2D", "filters", filters)
        self.kernel_size = pair("Conv2D", "kernel_size", kernel_size)
        self.stride = pair("Conv2D", "stride", stride)
        self.padding = _check_padding(padding)
        self.use_bias = use_bias
        self.initializer = check_initializer(initializer)

    def forward(self, x: Array, training: bool = False) -> Array:
        padding = self.padding_for(x.shape[1:3])
        columns = im2col(x, self.kernel_size, self.stride, padding)
        y = columns @ self.parameters["kernel"].reshape(-1, self.filters)
        if self.use_bias:
            y += self.parameters["bias"]
        self.remember(training, x)
        return y.reshape(len(x), *output_size(x.shape[1:3], self.kernel_size, self.stride, padding), self.filters)

    def backward(self, dy: Array) -> Array:
        (x,) = self.recall()
        w, padding = self.parameters["kernel"], self.padding_for(x.shape[1:3])
        dy_rows = dy.reshape(-1, self.filters)
        # The columns are computed again rather than kept: they take KH * KW times the memory of x.
        columns = im2col(x, self.kernel_size, self.stride, padding)
        self.gradients["kernel"] = (columns.T @ dy_rows).reshape(w.shape)
        if self.use_bias:
            self.gradients["bias"] = dy_rows.sum(axis=0)
        dcolumns = dy_rows @ w.reshape(-1, self.filters).T
        return col2im(dcolumns, x.shape, self.kernel_size, self.stride, padding)

    def padding_for(self, size: Shape) -> Padding:
        """The padding in pixels, ((top, bottom), (left, right)), for an image of (height, width)."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if self.padding == "same":
            return self._same(size, 0), self._same(size, 1)
        return self.padding  # type: ignore[return-value]  # _check_padding left nothing else

    def _same(self, size: Shape, axis: int) -> Pair:
        steps = -(-size[axis] // self.stride[axis])  # rounded up
        total = max(0, (steps - 1) * self.stride[axis] + self.kernel_size[axis] - size[axis])
        return total // 2, total - total // 2

    def output_shape(self, input_shape: Shape) -> Shape:
        require_image(self, input_shape)
        height, width, _ = input_shape
        padding = self.padding_for((height, width))
        size = output_size((height, width), self.kernel_size, self.stride, padding)
        if min(size) < 1:
            raise ShapeError(
                f"{self.describe()} does not fit its input {input_shape}: the window "
                f"{self.kernel_size} is larger than the image with its padding {padding}"
            )
        return *size, self.filters

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"kernel": (*self.kernel_size, input_shape[2], self.filters)}
        return {**shapes, "bias": (self.filters,)} if self.use_bias else shapes

    def flops(self, input_shape: Shape) -> int:
        oh, ow, filters = self.output_shape(input_shape)
        return 2 * oh * ow * filters * self.kernel_size[0] * self.kernel_size[1] * input_shape[2]

    def config(self) -> dict[str, Any]:
        return {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "initializer": self.initializer,
        }

    def describe(self) -> str:
        stride = "" if self.stride == (1, 1) else f", stride {self.stride[0]}x{self.stride[1]}"
        return f"Conv2D {self.filters}, {self.kernel_size[0]}x{self.kernel_size[1]} {self.padding}{stride}"


def _check_padding(padding: Any) -> str | Padding:
    """The padding as "valid", "same" or ((top, bottom), (left, right))."""
    if padding in ("valid", "same"):
        return str(padding)
    sides = padding if isinstance(padding, tuple | list) else (padding, padding)
    both = [tuple(side) if isinstance(side, tuple | list) else (side, side) for side in sides]
    numbers = [n for side in both for n in side]
    if [len(side) for side in both] != [2, 2] or any(type(n) is not int or n < 0 for n in numbers):
        raise OptionError(
            f"Conv2D: padding must be 'valid', 'same', a number of pixels, (vertical, horizontal) or "
            f"((top, bottom), (left, right)), not {padding!r}"
        )
    return (numbers[0], numbers[1]), (numbers[2], numbers[3])
