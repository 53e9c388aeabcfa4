"""Which algorithm computes a convolution.

`im2col`, `direct` and `winograd` are modules with the same two functions,

    forward(x, kernel, stride, padding) -> y
    backward(x, kernel, dy, stride, padding) -> (dx, dkernel)

with x (N, H, W, C), kernel (KH, KW, C, F), y and dy (N, OH, OW, F). All compute what `layers.Conv2D` defines.
"""

import functools
from types import ModuleType

import numpy as np

from nncore.errors import OptionError
from nncore.kernels.conv import direct, im2col, winograd
from nncore.layers.windows import output_size
from nncore.types import Padding, Pair, Shape

ALGORITHMS: dict[str, ModuleType] = {"im2col": im2col, "direct": direct, "winograd": winograd}

KERNEL_TRANSFORM = 55
"""To transform a kernel for winograd was measured to take as long as the products of so many tiles."""


@functools.lru_cache
def choose(x_shape: Shape, kernel_shape: Shape, stride: Pair, padding: Padding) -> str:
    """The name of the algorithm with the least arithmetic for these shapes.

    Kernels that winograd does not serve are computed by direct. So are few channels, with which winograd's transforms
    of tiles take longer than it saves, and few images, with which its transform of the kernel does.
    """
    kh, kw, channels, filters = kernel_shape
    if not winograd.serves((kh, kw), stride):
        return "direct"
    size = output_size((x_shape[1], x_shape[2]), (kh, kw), stride, padding)
    filters = direct.block_columns(filters, np.float32)
    tile = winograd.best_tile(size, (kh, kw, channels, filters))
    kernel_work = KERNEL_TRANSFORM * tile.n**2 * channels * filters
    by_winograd = x_shape[0] * winograd.arithmetic(tile, size, channels, filters) + kernel_work
    by_direct = x_shape[0] * size[0] * size[1] * kh * kw * channels * filters
    return "winograd" if by_winograd < by_direct else "direct"


def check(name: str, kernel_size: Pair, stride: Pair) -> None:
    """Raise OptionError where the algorithm of that name does not serve such a kernel."""
    if name == "winograd" and not winograd.serves(kernel_size, stride):
        raise OptionError(
            f"the convolution algorithm 'winograd' is for kernels from 2x2 to 7x7 and stride 1, not for "
            f"{kernel_size[0]}x{kernel_size[1]} and stride {stride[0]}x{stride[1]}: choose auto, direct or im2col"
        )
