"""The quickest way to a first answer: a network is loaded and predicts layer by layer, as `DigitReader` does.

For one image, to import Numba and its kernels would take longer than NumPy takes for all of it.
"""

import sys

import numpy as np

from nncore.network.sequential import Sequential

network = Sequential.load(f"{sys.argv[1]}/weights.npz")
x = np.load(sys.argv[2])
for layer in network.layers:
    x = layer.forward(x)
print(x.tolist())
