"""The definitions themselves, against loops over single numbers."""

import numpy as np
import pytest

from nncore.kernels import reference

CASES = range(6)
NO_PADDING = ((0, 0), (0, 0))


def geometry(rng, padded=True):
    """A random batch, and a window that fits it at least once."""
    n, height, width, channels = (int(rng.integers(1, high)) for high in (4, 9, 9, 4))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2))) if padded else NO_PADDING
    window = (
        int(rng.integers(1, min(4, height + sum(padding[0])) + 1)),
        int(rng.integers(1, min(4, width + sum(padding[1])) + 1)),
    )
    stride = tuple(int(step) for step in rng.integers(1, 4, 2))
    return rng.standard_normal((n, height, width, channels)), window, stride, padding


def steps(length, window, stride):
    return len(range(0, length - window + 1, stride))


def windows(x_shape, window, stride, padding=NO_PADDING):
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
    assert reference.output_size(x.shape[1:3], window, stride, padding) == expected


def test_im2col_of_the_picture_in_its_docstring():
    image = np.arange(1.0, 10).reshape(1, 3, 3, 1)
    columns = reference.im2col(image, (2, 2), (1, 1), NO_PADDING)
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
    np.testing.assert_array_equal(reference.im2col(x, window, stride, padding), rows)

    columns = rng.standard_normal(np.shape(rows))
    back = np.zeros_like(x)
    for place, value in zip(places, columns.ravel(), strict=True):
        if place:
            back[place] += value
    np.testing.assert_allclose(reference.col2im(columns, x.shape, window, stride, padding), back, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_conv2d_and_its_gradients(rng, case):
    x, window, stride, padding = geometry(rng)
    _, height, width, channels = x.shape
    filters = int(rng.integers(1, 4))
    kernel = rng.standard_normal((*window, channels, filters))
    y = reference.conv2d(x, kernel, stride, padding)
    dy = rng.standard_normal(y.shape)
    expected, dx, dw = np.zeros_like(y), np.zeros_like(x), np.zeros_like(kernel)
    for (image, i, j), pixels in windows(x.shape, window, stride, padding):
        for ky, kx, row, column in pixels:
            if not (0 <= row < height and 0 <= column < width):
                continue
            for c in range(channels):
                for f in range(filters):
                    expected[image, i, j, f] += x[image, row, column, c] * kernel[ky, kx, c, f]
                    dx[image, row, column, c] += dy[image, i, j, f] * kernel[ky, kx, c, f]
                    dw[ky, kx, c, f] += dy[image, i, j, f] * x[image, row, column, c]
    np.testing.assert_allclose(y, expected, atol=1e-12)
    computed_dx, computed_dw = reference.conv2d_backward(x, kernel, dy, stride, padding)
    np.testing.assert_allclose(computed_dx, dx, atol=1e-12)
    np.testing.assert_allclose(computed_dw, dw, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("ties", [False, True])
def test_pooling_and_its_gradients(rng, case, ties):
    x, window, stride, _ = geometry(rng, padded=False)
    if ties:
        x = np.round(x)
    y, winners = reference.max_pool(x, window, stride)
    mean = reference.avg_pool(x, window, stride)
    dy = rng.standard_normal(y.shape)
    dx_max, dx_mean = np.zeros_like(x), np.zeros_like(x)
    for (image, i, j), pixels in windows(x.shape, window, stride):
        for c in range(x.shape[3]):
            values = [x[image, row, column, c] for _, _, row, column in pixels]
            first = values.index(max(values))
            assert y[image, i, j, c] == values[first]
            assert winners[image, i, j, c] == first
            assert mean[image, i, j, c] == pytest.approx(sum(values) / len(values), abs=1e-13)
            dx_max[image, pixels[first][2], pixels[first][3], c] += dy[image, i, j, c]
            for _, _, row, column in pixels:
                dx_mean[image, row, column, c] += dy[image, i, j, c] / len(values)
    assert winners.dtype == np.int32
    computed = reference.max_pool_backward(dy, winners, x.shape, window, stride)
    np.testing.assert_allclose(computed, dx_max, atol=1e-13)
    np.testing.assert_allclose(reference.avg_pool_backward(dy, x.shape, window, stride), dx_mean, atol=1e-13)


def splitmix64(seed, count):
    """The generator as its authors write it: a state that grows by a constant, and a mix of it."""
    state, words = seed, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        words.append(z ^ (z >> 31))
    return words


def test_bernoulli_is_splitmix64(rng):
    # The published first words for the seed 1234567.
    assert splitmix64(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    for key in (0, 1234567, 2**64 - 1, int(rng.integers(2**63))):
        probability = rng.random()
        expected = [(word >> 32) < round(probability * 2**32) for word in splitmix64(key, 24)]
        np.testing.assert_array_equal(reference.bernoulli((2, 3, 4), probability, key).ravel(), expected)


@pytest.mark.parametrize("probability", [0.0, 1.0, 0.1, 0.75])
def test_bernoulli_is_true_as_often_as_it_should_be(rng, probability):
    count = 200_000
    hits = reference.bernoulli((count,), probability, int(rng.integers(2**63))).sum()
    assert abs(hits - count * probability) <= 5 * np.sqrt(count * probability * (1 - probability))


def test_an_empty_batch_gives_empty_arrays():
    x, kernel = np.zeros((0, 5, 4, 2)), np.ones((3, 3, 2, 6))
    assert reference.im2col(x, (3, 3), (1, 1), NO_PADDING).shape == (0, 18)
    assert reference.col2im(np.zeros((0, 18)), x.shape, (3, 3), (1, 1), NO_PADDING).shape == x.shape
    assert reference.conv2d(x, kernel, (1, 1), NO_PADDING).shape == (0, 3, 2, 6)
    dx, dw = reference.conv2d_backward(x, kernel, np.zeros((0, 3, 2, 6)), (1, 1), NO_PADDING)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dw, np.zeros_like(kernel))
    assert reference.max_pool(x, (2, 2), (2, 2))[0].shape == reference.avg_pool(x, (2, 2), (2, 2)).shape == (0, 2, 2, 2)
    assert reference.bernoulli((0, 3), 0.5, 0).shape == (0, 3)


def test_bias_and_relu(rng):
    x, bias, dy = rng.standard_normal((2, 3, 4, 3)), rng.standard_normal(3), rng.standard_normal((2, 3, 4, 3))
    x[0, 0, 0] = -bias  # zero before ReLU
    y = reference.bias_relu(x.copy(), bias)
    dx, db = reference.bias_relu_backward(dy, y)
    total = np.zeros(3)
    for index in np.ndindex(x.shape):
        value = x[index] + bias[index[-1]]
        assert y[index] == max(value, 0.0)
        assert dx[index] == (dy[index] if value > 0 else 0.0)
        total[index[-1]] += dx[index]
    np.testing.assert_allclose(db, total, rtol=1e-12)


def test_adam_number_by_number(rng):
    w, m, v = rng.standard_normal(4), np.zeros(4), np.zeros(4)
    begun, gradients = w.copy(), rng.standard_normal((3, 4))
    for t, gradient in enumerate(gradients, start=1):
        reference.adam(w, gradient, m, v, 0.8, 0.97, 0.1, 1e-3, t)
    for k in range(4):
        expected = begun[k]
        mean = square = 0.0
        for t, g in enumerate(gradients[:, k], start=1):
            mean, square = 0.8 * mean + 0.2 * g, 0.97 * square + 0.03 * g**2
            expected -= 0.1 * (mean / (1 - 0.8**t)) / ((square / (1 - 0.97**t)) ** 0.5 + 1e-3)
        assert w[k] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("relu", [False, True])
def test_batch_norm_and_its_gradients_by_small_steps(rng, relu):
    x, weighting = rng.standard_normal((2, 5, 2, 3, 4))
    gamma, beta = rng.standard_normal((2, 4))

    def forward():
        return reference.batch_norm(x, *reference.channel_moments(x), gamma, beta, 1e-3, relu)

    mean, variance = reference.channel_moments(x)
    for k in range(4):
        expected = gamma[k] * (x[..., k] - x[..., k].mean()) / np.sqrt(x[..., k].var() + 1e-3) + beta[k]
        np.testing.assert_allclose(forward()[..., k], expected.clip(0) if relu else expected, atol=1e-12)
    gradients = reference.batch_norm_backward(weighting, x, mean, variance, gamma, beta, 1e-3, relu)
    for array, gradient in zip((x, gamma, beta), gradients, strict=True):
        direction = rng.standard_normal(array.shape)
        sums = []
        for step in (1e-6, -2e-6):  # there, and as far to the other side
            array += step * direction
            sums.append(np.vdot(weighting, forward()))
        array += 1e-6 * direction
        assert (sums[0] - sums[1]) / 2e-6 == pytest.approx(np.vdot(gradient, direction), rel=1e-5, abs=1e-6)


def test_pooling_with_dropout_is_one_after_the_other(rng):
    x, window, stride = rng.standard_normal((2, 7, 6, 3)), (3, 2), (2, 2)
    y, winners = reference.max_pool(x, window, stride)
    kept, dy = rng.random(y.shape) < 0.6, rng.standard_normal(y.shape)
    dropped, left = reference.max_pool(x, window, stride, kept, scale=2.5)
    np.testing.assert_array_equal(dropped, y * kept * 2.5)
    np.testing.assert_array_equal(left, np.where(kept, winners, -1))
    dx = reference.max_pool_backward(dy, left, x.shape, window, stride, scale=2.5)
    expected = reference.max_pool_backward(dy * kept * 2.5, winners, x.shape, window, stride)
    np.testing.assert_allclose(dx, expected, rtol=1e-14, atol=1e-14)
