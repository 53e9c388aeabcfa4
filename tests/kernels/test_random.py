import numpy as np
import pytest

from nncore import kernels
from nncore.layers import dropout

if not kernels.available():
    pytest.skip("needs Numba", allow_module_level=True)

from nncore.kernels.random import bernoulli


@pytest.mark.parametrize("key", [0, 1, 2**63, 2**64 - 1, None])
@pytest.mark.parametrize("shape", [(1,), (0, 4), (), (7, 5, 3)])
def test_the_masks_are_those_of_the_definition(rng, shape, key):
    key = int(rng.integers(2**63)) if key is None else key
    for probability in (0.0, 1.0, 2**-32, rng.random()):
        mask = bernoulli(shape, probability, key)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, dropout.bernoulli(shape, probability, key))


def test_number_i_depends_on_the_key_and_i_alone(rng):
    key = int(rng.integers(2**63))
    long = bernoulli((1000,), 0.3, key)
    np.testing.assert_array_equal(bernoulli((10, 7), 0.3, key).ravel(), long[:70])
    # What is true with a small probability stays true with a larger one: the hash does not depend on it.
    assert (bernoulli((1000,), 0.6, key) >= long).all()
    assert (bernoulli((1000,), 0.3, key + 1) != long).any()
