import numpy as np
import pytest

from nncore import kernels
from tests.kernels import plain

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels.conv import winograd
from nncore.kernels.conv.cook_toom import POINTS
from nncore.kernels.pooling import NOBODY

STRIDE = (1, 1)
WINDOW = ((2, 2), (2, 2))


@pytest.fixture
def tiles_of(monkeypatch):
    """Fix the size of tiles, which otherwise depends on the shapes."""
    return lambda m, r=3: monkeypatch.setattr(winograd, "best_tile", lambda *shape: winograd.Tile(m, r))


def relative_error(ours, exact):
    assert ours.shape == exact.shape
    return np.sqrt(np.square(ours - exact).mean() / np.square(exact).mean())


def arguments(rng, dtype=np.float32, least=3, r=3):
    """x, kernel, padding: every size at random, channels seldom a multiple of a vector's lanes."""
    n, height, width, channels, filters = (
        int(rng.integers(low, high)) for low, high in ((1, 5), (least, 17), (least, 17), (1, 40), (1, 70))
    )
    x = rng.standard_normal((n, height, width, channels)).astype(dtype)
    kernel = rng.standard_normal((r, r, channels, filters)).astype(dtype)
    return x, kernel, tuple(tuple(int(side) for side in sides) for sides in rng.integers(0, 3, (2, 2)))


def exactly(*arrays):
    return [array.astype(np.float64) for array in arrays]


OTHERS = [(n - r + 1, r) for n in POINTS for r in range(2, n) if (n, r) not in ((7, 3), (8, 3))]


@pytest.mark.parametrize("tile", [(5, 3), (6, 3), None])
def test_errors_of_float32_stay_small_for_every_tile(rng, tiles_of, tile):
    m, r = tile or OTHERS[rng.integers(len(OTHERS))]  # each takes long to compile: one of the others in every run
    print(f"F({m}, {r})")
    tiles_of(m, r)
    for _ in range(5):
        x, kernel, padding = arguments(rng, least=r, r=r)
        y = winograd.forward(x, kernel, STRIDE, padding)
        dy = rng.standard_normal(y.shape).astype(np.float32)
        dx, dw = winograd.backward(x, kernel, dy, STRIDE, padding)
        exact = plain.conv2d(*exactly(x, kernel), STRIDE, padding)
        exact_dx, exact_dw = plain.conv2d_backward(*exactly(x, kernel, dy), STRIDE, padding)
        assert y.dtype == dx.dtype == dw.dtype == np.float32
        for ours, theirs in ((y, exact), (dx, exact_dx), (dw, exact_dw)):
            assert relative_error(ours, theirs) <= 5e-6


def test_chunks_and_threads_change_nothing_but_the_last_bits(rng, tiles_of, monkeypatch):
    numba = pytest.importorskip("numba")
    tiles_of(6)
    x = rng.standard_normal((5, 13, 11, 9)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 9, 33)).astype(np.float32)
    results, before = [], numba.get_num_threads()
    try:
        for threads, kept_bytes in ((1, 1), (1, 2**30), (min(2, numba.config.NUMBA_NUM_THREADS), 2**18)):
            numba.set_num_threads(threads)
            monkeypatch.setattr(winograd, "CHUNK_BYTES", kept_bytes)
            y = winograd.forward(x, kernel, STRIDE, ((1, 1), (1, 1)))
            results.append((y, *winograd.backward(x, kernel, y, STRIDE, ((1, 1), (1, 1)))))
    finally:
        numba.set_num_threads(before)
    for y, dx, dw in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(dx, results[0][1])
        assert relative_error(dw, results[0][2]) < 1e-6


def test_bias_and_relu_on_the_way(rng, tiles_of):
    tiles_of(6)
    for _ in range(4):
        x, kernel, padding = arguments(rng)
        bias = rng.standard_normal(kernel.shape[3]).astype(np.float32)
        convolved = winograd.forward(x, kernel, STRIDE, padding)
        y = winograd.forward_relu(x, kernel, bias, padding)
        np.testing.assert_array_equal(y, np.maximum(convolved + bias, 0))
        dy = rng.standard_normal(y.shape).astype(np.float32)
        dx, dw, dbias = winograd.backward_relu(x, kernel, y, dy, padding)
        exact_dx, exact_dw = plain.conv2d_backward(*exactly(x, kernel, dy * (y > 0)), STRIDE, padding)
        assert relative_error(dx, exact_dx) < 5e-6
        assert relative_error(dw, exact_dw) < 5e-6
        np.testing.assert_allclose(dbias, (dy * (y > 0)).sum((0, 1, 2)), rtol=1e-4, atol=1e-4)


def layers(convolved, bias, kept, scale, dy):
    """(y, winners, gradient of the convolution's result) as the layers give them, one after the other."""
    active = np.maximum(convolved + bias, 0)
    pooled, winners = plain.max_pool(active, *WINDOW)
    passes = plain.max_pool_backward(dy * kept * scale, winners, active.shape, *WINDOW)
    return pooled * kept * scale, np.where(kept & (pooled > 0), winners, NOBODY), passes * (active > 0)


@pytest.mark.parametrize(("m", "dropout"), [(6, False), (6, True), (5, True)])
def test_pooling_and_dropout_on_the_way(rng, tiles_of, m, dropout):
    tiles_of(m)
    for _ in range(4):
        x, kernel, padding = arguments(rng, least=4)
        bias = rng.standard_normal(kernel.shape[3]).astype(np.float32)
        convolved = winograd.forward(x, kernel, STRIDE, padding)
        shape = len(x), convolved.shape[1] // 2, convolved.shape[2] // 2, convolved.shape[3]
        kept, scale = rng.random(shape) < (0.7 if dropout else 2), np.float32(1 / 0.7 if dropout else 1)
        y, winners = winograd.forward_pool(x, kernel, bias, padding, kept if dropout else None, scale)
        dy = rng.standard_normal(shape).astype(np.float32)
        expected, expected_winners, gradient = layers(convolved, bias, kept, scale, dy)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(winners, expected_winners)
        dx, dw, dbias = winograd.backward_pool(x, kernel, winners, dy, padding, scale)
        exact_dx, exact_dw = plain.conv2d_backward(*exactly(x, kernel, gradient), STRIDE, padding)
        assert relative_error(dx, exact_dx) < 5e-6
        assert relative_error(dw, exact_dw) < 5e-6
        np.testing.assert_allclose(dbias, gradient.sum((0, 1, 2)), rtol=1e-4, atol=1e-4)


def test_the_first_of_equals_wins_and_nan_shows(tiles_of):
    tiles_of(6)
    x, kernel = np.zeros((1, 4, 6, 1), np.float32), np.zeros((3, 3, 1, 2), np.float32)
    bias = np.array([1, -1], np.float32)  # all four of each window equal; what ReLU makes zero has no winner
    y, winners = winograd.forward_pool(x, kernel, bias, ((0, 0), (0, 0)))
    np.testing.assert_array_equal(y, np.broadcast_to([1, 0], y.shape))
    np.testing.assert_array_equal(winners, np.broadcast_to([0, NOBODY], y.shape))
    x[0, 0, 0] = np.nan
    kernel[0, 0] = 1
    y, _ = winograd.forward_pool(x, kernel, bias, ((0, 0), (0, 0)))
    assert np.isnan(y[0, 0, 0]).all()
    assert np.isnan(winograd.forward_relu(x, kernel, bias, ((0, 0), (0, 0)))[0, 0, 0]).all()


def test_no_image_and_channels_that_fill_lines():
    x, kernel = np.zeros((0, 26, 26, 64), np.float32), np.ones((3, 3, 64, 32), np.float32)
    y = winograd.forward(x, kernel, STRIDE, ((0, 0), (0, 0)))
    dx, dw = winograd.backward(x, kernel, y, STRIDE, ((0, 0), (0, 0)))
    assert (y.shape, dx.shape) == ((0, 24, 24, 32), x.shape)
    assert not dw.any()


def test_the_tile_is_that_of_least_arithmetic():
    assert winograd.best_tile((24, 24), (3, 3, 64, 128)) == (6, 3)
    assert winograd.best_tile((10, 10), (3, 3, 128, 128)) == (5, 3)
    assert winograd.best_tile((4, 4), (3, 3, 128, 128)) == (4, 3)
    assert winograd.best_tile((2, 1), (3, 3, 128, 128)) == (2, 3)
    assert winograd.best_tile((16, 16), (5, 5, 32, 64)) == (4, 5)


@pytest.mark.parametrize(("rows", "expected"), [(8, (6, 3)), (6, (4, 3))])
def test_an_image_alone_has_tiles_that_fill_blocks_and_need_fewer_weights(monkeypatch, rows, expected):
    monkeypatch.setattr(winograd, "ROWS", rows)  # what processors with 32 registers have, and those with 16
    assert winograd.best_tile((10, 10), (3, 3, 128, 128), alone=True) == (2, 3)
    assert winograd.best_tile((24, 24), (3, 3, 64, 128), alone=True) == expected


def test_which_kernels_it_serves():
    assert [r for r in range(1, 12) if winograd.serves((r, r), STRIDE)] == [2, 3, 4, 5, 6, 7]
    assert not winograd.serves((3, 5), STRIDE)
    assert not winograd.serves((3, 3), (1, 2))
