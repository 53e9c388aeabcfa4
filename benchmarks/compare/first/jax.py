"""Weights into a function, which is compiled for one image."""

import sys
from pathlib import Path

import numpy as np

from benchmarks.compare.systems.jax import Jax

network = Jax("jit", int(sys.argv[3]), Path(sys.argv[1]))
print(network.predict(np.load(sys.argv[2])).tolist())
