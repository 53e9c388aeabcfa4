import numpy as np
import pytest

from nncore.reading.components import components, widened


def by_flooding(mask):
    """8-connected components, one pixel at a time, numbered in the order in which a row-by-row reading meets them."""
    labels = np.zeros(mask.shape, int)
    for start in zip(*mask.nonzero(), strict=True):
        if labels[start]:
            continue
        number = labels.max() + 1
        labels[start] = number
        waiting = [start]
        while waiting:
            i, j = waiting.pop()
            around = slice(max(i - 1, 0), i + 2), slice(max(j - 1, 0), j + 2)
            for di, dj in zip(*(mask[around] & (labels[around] == 0)).nonzero(), strict=True):
                beside = around[0].start + di, around[1].start + dj
                labels[beside] = number
                waiting.append(beside)
    return labels


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 30), (30, 1), (17, 23), (40, 40)])
@pytest.mark.parametrize("share", [0, 0.2, 0.4, 0.6, 1])
def test_components(rng, shape, share):
    mask = rng.random(shape) < share
    labels, boxes = components(mask)
    np.testing.assert_array_equal(labels, by_flooding(mask))
    for number, (top, left, bottom, right) in enumerate(boxes, 1):
        rows, columns = (labels == number).nonzero()
        assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == (top, left, bottom, right)


def test_components_of_shapes_that_wind():
    snake = np.zeros((41, 30), bool)
    snake[::2] = True
    snake[1::4, -1] = snake[3::4, 0] = True
    for mask in (snake, snake.T, np.eye(50, dtype=bool), np.eye(50, dtype=bool)[::-1]):
        labels, boxes = components(mask)
        np.testing.assert_array_equal(labels, mask)
        np.testing.assert_array_equal(boxes, [(0, 0, *mask.shape)])


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 9), (20, 30)])
def test_widened(rng, shape):
    mask = rng.random(shape) < 0.1
    padded = np.pad(mask, 1)
    shifted = [padded[i : i + shape[0], j : j + shape[1]] for i in range(3) for j in range(3)]
    np.testing.assert_array_equal(widened(mask), np.logical_or.reduce(shifted))
