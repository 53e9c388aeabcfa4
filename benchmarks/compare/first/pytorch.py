"""Weights into modules, and a prediction."""

import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.compare.protocol import read_network
from benchmarks.compare.systems.pytorch import built

torch.set_num_threads(int(sys.argv[3]))
network = built(read_network(Path(sys.argv[1]))).eval()
with torch.inference_mode():
    print(network(torch.from_numpy(np.load(sys.argv[2])).permute(0, 3, 1, 2)).tolist())
