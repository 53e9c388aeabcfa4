import numpy as np
import pytest

from nncore.layers import Flatten


@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (1, 6), (2, 1, 1, 1), (4, 3, 2)])
def test_numbers_in_reading_order_and_back(rng, shape):
    layer, x = Flatten(), rng.standard_normal(shape)
    y = layer.forward(x, training=True)
    assert y.shape == (shape[0], *layer.output_shape(shape[1:]))
    for n in range(shape[0]):
        assert list(y[n]) == [x[n][index] for index in np.ndindex(*shape[1:])]
    dy = rng.standard_normal(y.shape)
    dx = layer.backward(dy)
    assert dx.shape == shape
    for n in range(shape[0]):
        assert [dx[n][index] for index in np.ndindex(*shape[1:])] == list(dy[n])
