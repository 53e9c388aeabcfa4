"""Moves of tiles, beside the same in NumPy."""

import numpy as np
import pytest

from nncore import kernels

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from numba import njit

from nncore.errors import ShapeError
from nncore.kernels.conv.cook_toom import cook_toom
from nncore.kernels.conv.first_conv import copy_tiles
from nncore.kernels.conv.prologues import Fixed, Plain, ReLUBackward, describe
from nncore.kernels.conv.tiles import Transform, copy, gather, move, scatter


@njit
def to_planes(code, images, planes, tiles, grid, origin, channels):
    move(code, images, planes, tiles, grid, origin, channels)


@njit
def to_images(code, planes, images, tiles, grid, origin, channels):
    move(code, planes, images, tiles, grid, origin, channels)


def tile_of(x, tile, grid, step, origin, size):
    """The tile counted over the batch, with zeros outside of its image."""
    image, within = divmod(tile, grid[0] * grid[1])
    row, column = divmod(within, grid[1])
    padded = np.pad(x[image], ((10, 20), (10, 20), (0, 0)))
    top, left = (at * step - before + 10 for at, before in zip((row, column), origin, strict=True))
    return padded[top : top + size, left : left + size]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gathered_tiles_are_transforms_of_windows(rng, dtype):
    m, r = 6, 3
    x = rng.standard_normal((3, 13, 11, 37)).astype(dtype)
    matrix = np.array(cook_toom(m, r)[2], float).T
    code, descriptor = gather(Transform("B^T", m, r, step=m), x, dtype)
    grid, origin = (3, 2), (int(rng.integers(3)), int(rng.integers(3)))
    first, stop = sorted(int(tile) for tile in rng.choice(19, 2, replace=False))
    start, end = 0 if rng.random() < 0.5 else 16, 37
    planes = np.full((stop - first, 8, 8, 64), 7, dtype)
    to_planes(code, descriptor, planes, (first, stop), grid, origin, (start, end))
    for t in range(first, stop):
        window = tile_of(x, t, grid, m, origin, 8)[:, :, start:end]
        expected = np.einsum("ai,ijc,bj->abc", matrix, window, matrix)
        np.testing.assert_allclose(planes[t - first, :, :, : end - start], expected, rtol=0, atol=1e-3)
    before = planes.copy()
    to_planes(code, descriptor, planes, (stop, stop), grid, origin, (start, end))  # no tile
    np.testing.assert_array_equal(planes, before)


def test_scattered_tiles_that_overlap_are_added_up(rng):
    m, r, grid, origin = 4, 3, (2, 3), (1, 1)
    images = np.ones((2, 8, 10, 21))
    planes = rng.standard_normal((12, 6, 6, 24))
    matrix = np.array(cook_toom(m, r)[2], float)
    expected = np.pad(images, ((0, 0), (1, 10), (1, 10), (0, 0)))
    for t in range(12):
        image, row, column = t // 6, t // 3 % 2 * m, t % 3 * m
        expected[image, row : row + 6, column : column + 6] += np.einsum("ai,ijc,bj->abc", matrix, planes[t], matrix)[
            :, :, :21
        ]
    code, descriptor = scatter(Transform("B", m, r, step=m, accumulate=True), images, images.dtype)
    to_images(code, planes, descriptor, (0, 12), grid, origin, (0, 21))
    np.testing.assert_allclose(images, expected[:, 1:9, 1:11], rtol=1e-9)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_all_tiles_of_a_batch_are_copied_through_a_prologue(rng, workers):
    dy, y = rng.standard_normal((2, 3, 9, 6, 5))
    target = np.full(dy.shape, np.nan)
    code, source, numbers = copy(Transform("I", 4, 1, 4), ReLUBackward(dy, y), target)
    copy_tiles(code, source, np.stack([numbers] * workers), len(dy), (3, 2), 5)
    np.testing.assert_array_equal(target, dy * (y > 0))


def test_what_a_descriptor_says(rng):
    x = rng.standard_normal((2, 3, 4, 5), np.float32)
    kind, numbers = describe(x)
    assert kind == (Plain, ((x.dtype, 4),))
    assert numbers.tolist() == [x.ctypes.data, *x.shape, *x.strides]
    assert describe(x[::-1])[1].tolist() == [x[1:].ctypes.data, *x.shape, -x.strides[0], *x.strides[1:]]
    x.flags.writeable = False
    assert describe(x)[1].tolist() == numbers.tolist()
    assert describe((x, None, Fixed(3), 4, np.float32(1)))[0][1] == ((x.dtype, 4), None, 3, np.dtype(np.int64), x.dtype)
    with pytest.raises(ShapeError, match="last axis must be contiguous"):
        describe(x.transpose(0, 3, 1, 2))
