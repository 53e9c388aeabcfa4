"""The few type names that signatures share."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64
Bytes: TypeAlias = NDArray[np.uint8]  # pictures and labels as data sets store them
Mask: TypeAlias = NDArray[np.bool_]
Integers: TypeAlias = NDArray[np.integer[Any]]
Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]  # (vertical, horizontal)
Padding: TypeAlias = tuple[Pair, Pair]  # ((top, bottom), (left, right))
