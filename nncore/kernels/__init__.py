"""The fast level: arrays in, arrays out.

Each name below is a Numba kernel, or its plain twin from `reference` where Numba is missing or switched off.
"""

try:
    from numba import config as _numba_config

    NUMBA = not _numba_config.DISABLE_JIT
except ImportError:
    NUMBA = False

if NUMBA:
    from nncore.kernels.im2col import col2im, im2col
    from nncore.kernels.pooling import avg_pool, avg_pool_backward, max_pool, max_pool_backward
    from nncore.kernels.random import bernoulli
else:
    from nncore.kernels.reference import (
        avg_pool,
        avg_pool_backward,
        bernoulli,
        col2im,
        im2col,
        max_pool,
        max_pool_backward,
    )

__all__ = [
    "NUMBA",
    "avg_pool",
    "avg_pool_backward",
    "bernoulli",
    "col2im",
    "im2col",
    "max_pool",
    "max_pool_backward",
]
