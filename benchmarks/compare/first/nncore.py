"""The public way: a network is loaded, and predicts."""

import sys

import numpy as np

from nncore.network.sequential import Sequential

network = Sequential.load(f"{sys.argv[1]}/weights.npz")
print(network.predict(np.load(sys.argv[2])).tolist())
