"""The fast level: arrays in, arrays out.

Each name below is a Numba kernel, or its plain twin from `reference` where Numba is missing or switched off.
"""

from typing import TYPE_CHECKING

try:
    import numba

    NUMBA = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]
except ImportError:
    NUMBA = False

if NUMBA and not TYPE_CHECKING:
    from nncore.kernels.activation import bias_relu, bias_relu_backward
    from nncore.kernels.im2col import col2im, im2col
    from nncore.kernels.optimizer import adam
    from nncore.kernels.pooling import avg_pool, avg_pool_backward, max_pool, max_pool_backward
    from nncore.kernels.random import bernoulli
    from nncore.kernels.strokes import draw_strokes
    from nncore.kernels.warp import thicken, warp
else:
    from nncore.kernels.reference import (
        adam,
        avg_pool,
        avg_pool_backward,
        bernoulli,
        bias_relu,
        bias_relu_backward,
        col2im,
        draw_strokes,
        im2col,
        max_pool,
        max_pool_backward,
        thicken,
        warp,
    )

__all__ = [
    "NUMBA",
    "adam",
    "avg_pool",
    "avg_pool_backward",
    "bernoulli",
    "bias_relu",
    "bias_relu_backward",
    "col2im",
    "draw_strokes",
    "im2col",
    "max_pool",
    "max_pool_backward",
    "thicken",
    "warp",
]
