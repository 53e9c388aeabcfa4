"""Data sets as uint8 arrays."""

from nncore.data.dataset import DATASETS, Dataset, batches, holdout, load_dataset
from nncore.data.idx import read_idx, write_idx
from nncore.data.mnist import load_mnist

__all__ = ["DATASETS", "Dataset", "batches", "holdout", "load_dataset", "load_mnist", "read_idx", "write_idx"]
