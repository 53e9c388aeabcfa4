import numpy as np
import pytest

from nncore.errors import OptionError
from nncore.training.averaging import ExponentialMovingAverage


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.9, 0.999])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_average_number_by_number(rng, decay, dtype):
    parameters = {"w": rng.standard_normal((2, 3)).astype(dtype), "b": rng.standard_normal(4).astype(dtype)}
    average = ExponentialMovingAverage(parameters, decay)
    expected = {name: array.astype(np.float64) for name, array in parameters.items()}
    for step in range(1, 31):
        for name, array in parameters.items():
            array += rng.standard_normal(array.shape).astype(dtype)
            d = min(decay, (1 + step) / (10 + step))
            expected[name] = d * expected[name] + (1 - d) * array
        average.update()
    assert average.steps == 30
    for name, array in average.averages.items():
        assert array.dtype == dtype
        np.testing.assert_allclose(array, expected[name], rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-5)


def test_applied_lends_the_averages_to_the_network_and_gives_back_its_own(rng):
    parameters = {"w": rng.standard_normal((2, 3))}
    average = ExponentialMovingAverage(parameters, decay=0.5)
    array = parameters["w"]
    array += 1
    average.update()
    own, averaged = array.copy(), average.averages["w"].copy()
    with average.applied():
        assert parameters["w"] is array
        np.testing.assert_array_equal(array, averaged)
    np.testing.assert_array_equal(array, own)
    with pytest.raises(ZeroDivisionError), average.applied():
        raise ZeroDivisionError
    np.testing.assert_array_equal(array, own)
    np.testing.assert_array_equal(average.averages["w"], averaged)


def test_it_follows_the_parameters_it_was_given_not_copies(rng):
    parameters = {"w": np.zeros(3)}
    average = ExponentialMovingAverage(parameters, decay=0.0)
    parameters["w"] += 5
    average.update()
    np.testing.assert_array_equal(average.averages["w"], [5, 5, 5])


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_decays_it_refuses(decay):
    with pytest.raises(OptionError, match="decay must be at least 0 and below 1, not"):
        ExponentialMovingAverage({}, decay)
