"""Windows, against loops over single numbers."""

import numpy as np
import pytest

from nncore.layers.windows import NO_PADDING, col2im, im2col, output_size

CASES = range(6)


def geometry(rng):
    """A random batch, and a window that fits it at least once."""
    n, height, width, channels = (int(rng.integers(1, high)) for high in (4, 9, 9, 4))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2)))
    window = (
        int(rng.integers(1, min(4, height + sum(padding[0])) + 1)),
        int(rng.integers(1, min(4, width + sum(padding[1])) + 1)),
    )
    stride = tuple(int(step) for step in rng.integers(1, 4, 2))
    return rng.standard_normal((n, height, width, channels)), window, stride, padding


def steps(length, window, stride):
    return len(range(0, length - window + 1, stride))


def windows(x_shape, window, stride, padding):
    """Every (n, i, j) of the output, with (ky, kx, y, x) of each pixel of its window, also of those outside."""
    n, height, width, _ = x_shape
    for image in range(n):
        for i in range(steps(height + sum(padding[0]), window[0], stride[0])):
            for j in range(steps(width + sum(padding[1]), window[1], stride[1])):
                pixels = [
                    (ky, kx, i * stride[0] + ky - padding[0][0], j * stride[1] + kx - padding[1][0])
                    for ky in range(window[0])
                    for kx in range(window[1])
                ]
                yield (image, i, j), pixels


@pytest.mark.parametrize("case", CASES)
def test_output_size_counts_the_steps(rng, case):
    x, window, stride, padding = geometry(rng)
    expected = tuple(steps(x.shape[1 + a] + sum(padding[a]), window[a], stride[a]) for a in (0, 1))
    assert output_size(x.shape[1:3], window, stride, padding) == expected


def test_im2col_of_the_picture_in_its_docstring():
    image = np.arange(1.0, 10).reshape(1, 3, 3, 1)
    columns = im2col(image, (2, 2), (1, 1), NO_PADDING)
    np.testing.assert_array_equal(columns, [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]])


@pytest.mark.parametrize("case", CASES)
def test_im2col_and_col2im(rng, case):
    x, window, stride, padding = geometry(rng)
    _, height, width, channels = x.shape
    rows = []
    places = []
    for (image, _, _), pixels in windows(x.shape, window, stride, padding):
        row = []
        for _, _, y, z in pixels:
            for c in range(channels):
                inside = 0 <= y < height and 0 <= z < width
                places.append((image, y, z, c) if inside else None)
                row.append(x[places[-1]] if inside else 0.0)
        rows.append(row)
    np.testing.assert_array_equal(im2col(x, window, stride, padding), rows)

    columns = rng.standard_normal(np.shape(rows))
    back = np.zeros_like(x)
    for place, value in zip(places, columns.ravel(), strict=True):
        if place:
            back[place] += value
    np.testing.assert_allclose(col2im(columns, x.shape, window, stride, padding), back, atol=1e-13)


def test_an_empty_batch_gives_empty_arrays():
    x = np.zeros((0, 5, 4, 2))
    assert im2col(x, (3, 3), (1, 1), NO_PADDING).shape == (0, 18)
    assert col2im(np.zeros((0, 18)), x.shape, (3, 3), (1, 1), NO_PADDING).shape == x.shape
