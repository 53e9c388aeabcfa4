"""Which pixels hang together: the connected components of a mask, and what lies beside them."""

import numpy as np

from nncore.types import Integers, Mask


def components(mask: Mask) -> tuple[Integers, Integers]:
    """The 8-connected components of a mask (H, W).

    Returns labels (H, W), 0 where the mask is False, k + 1 on component k; and their boxes (count, 4): top, left, and
    one past the last row and column. Works on runs, the unbroken stretches of True in each row: runs of neighbouring
    rows that touch are joined, each taking the smaller number until nothing changes (Shiloach & Vishkin, "An O(log n)
    parallel connectivity algorithm", 1982).
    """
    height, width = mask.shape
    stride = width + 2  # a False on both sides of each row, so that no run goes on in the next
    padded = np.zeros((height, stride), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded.ravel(), prepend=np.int8(0))
    starts, ends = (change > 0).nonzero()[0], (change < 0).nonzero()[0]
    # Run i touches those of the next row that neither end left of its start nor start right of its end.
    first = np.searchsorted(ends, starts + stride)
    count = np.searchsorted(starts, ends + stride, "right") - first
    upper = np.repeat(np.arange(len(starts)), count)
    lower = np.arange(len(upper)) + np.repeat(first - np.cumsum(count) + count, count)
    root = np.arange(len(starts))
    while (root[upper] != root[lower]).any():
        smaller = np.minimum(root[upper], root[lower])
        np.minimum.at(root, root[upper], smaller)
        np.minimum.at(root, root[lower], smaller)
        while (root != root[root]).any():
            root = root[root]
    roots, label = np.unique(root, return_inverse=True)
    rows, left = np.divmod(starts, stride)
    boxes = np.empty((len(roots), 4), np.int64)
    boxes[:, 0], boxes[:, 1] = height, width
    boxes[:, 2:] = 0
    np.minimum.at(boxes[:, 0], label, rows)
    np.minimum.at(boxes[:, 1], label, left - 1)
    np.maximum.at(boxes[:, 2], label, rows + 1)
    np.maximum.at(boxes[:, 3], label, ends - rows * stride - 1)
    labels = np.zeros(height * stride, np.int32)
    labels[padded.ravel() != 0] = np.repeat(label + 1, ends - starts)
    return labels.reshape(height, stride)[:, 1:-1], boxes


def widened(mask: Mask) -> Mask:
    """A mask (H, W) and the pixels around it."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    rows = wide.copy()
    wide[:, 1:] |= rows[:, :-1]
    wide[:, :-1] |= rows[:, 1:]
    return wide
