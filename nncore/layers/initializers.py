"""How weights start: random, of a size that lets signals pass through many layers neither growing nor fading."""

import math

import numpy as np
from numpy.typing import DTypeLike

from nncore.errors import OptionError
from nncore.types import Array, Shape

# "np.random.Generator" stands in quotes: looking it up would load numpy.random, for which who predicts need not wait.


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs feed one output, and how many outputs one input feeds.

    shape: a dense kernel (in, out), or a convolution's (KH, KW, C_in, C_out).
    """
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def he(shape: Shape, rng: "np.random.Generator", dtype: DTypeLike) -> Array:
    """Normal with variance 2 / fan_in: keeps the signal's size through ReLUs, which halve it.

    He et al. 2015, "Delving deep into rectifiers", eq. 10.
    """
    fan_in, _ = fans(shape)
    return (rng.standard_normal(shape) * math.sqrt(2 / fan_in)).astype(dtype)


def glorot(shape: Shape, rng: "np.random.Generator", dtype: DTypeLike) -> Array:
    """Uniform with variance 2 / (fan_in + fan_out), for layers followed by no ReLU.

    Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16.
    """
    limit = math.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-limit, limit, shape).astype(dtype)


INITIALIZERS = {"he": he, "glorot": glorot}


def check_initializer(name: str) -> str:
    """The name, if it is one of INITIALIZERS."""
    if name not in INITIALIZERS:
        raise OptionError(f"initializer {name!r} is unknown: choose one of {', '.join(INITIALIZERS)}")
    return name
