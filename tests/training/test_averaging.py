import numpy as np
import pytest

from nncore.errors import OptionError
from nncore.layers import BatchNorm, Dense, Dropout
from nncore.network.sequential import Sequential
from nncore.optimizers import SGD, Adam
from nncore.training.averaging import ExponentialMovingAverage


def small(dtype=np.float64):
    return Sequential([Dense(3), BatchNorm(), Dropout(0.5)], (4,), dtype=dtype)


def gradients(network, rng):
    return {name: rng.standard_normal(a.shape).astype(a.dtype) for name, a in network.parameters().items()}


@pytest.mark.parametrize("decay", [0.15, 0.9, 0.999])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_average_number_by_number(rng, decay, dtype):
    network = small(dtype)
    optimizer = ExponentialMovingAverage(SGD(0.1), network, decay)
    expected = {name: array.astype(np.float64) for name, array in network.parameters().items()}
    for step in range(1, 31):
        optimizer.step(network.parameters(), gradients(network, rng), 0.1)
        network.state()["batchnorm_1.running_mean"][...] = step
        for name, array in network.parameters().items():
            d = min(decay, (1 + step) / (10 + step))
            expected[name] = d * expected[name] + (1 - d) * array
    assert optimizer.steps == 30
    own = {name: array.copy() for name, array in network.parameters().items()}
    with optimizer.averaged():
        for name, array in network.parameters().items():
            assert array.dtype == dtype
            np.testing.assert_allclose(array, expected[name], rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-5)
        assert (network.state()["batchnorm_1.running_mean"] < 30).all()  # running statistics are averaged, too
    for name, array in network.parameters().items():
        np.testing.assert_array_equal(array, own[name])


def test_after_an_error_the_network_has_its_own_weights_again(rng):
    network = small()
    optimizer = ExponentialMovingAverage(SGD(0.1), network, 0.5)
    optimizer.step(network.parameters(), gradients(network, rng), 0.1)
    own = network.parameters()["dense_1.kernel"].copy()
    with pytest.raises(ZeroDivisionError), optimizer.averaged():
        raise ZeroDivisionError((network.parameters()["dense_1.kernel"] != own).all())
    np.testing.assert_array_equal(network.parameters()["dense_1.kernel"], own)


def test_it_goes_on_from_its_state(rng):
    networks = [small(), small()]
    optimizers = [ExponentialMovingAverage(Adam(0.1), network, 0.9) for network in networks]
    for _ in range(3):
        optimizers[0].step(networks[0].parameters(), gradients(networks[0], rng), 0.1)
    state = {name: array.copy() for name, array in optimizers[0].state.items()}
    networks[1].assign({**networks[0].parameters(), **networks[0].state()})
    optimizers[1].restore(3, state)
    step = gradients(networks[0], rng)
    for optimizer, network in zip(optimizers, networks, strict=True):
        optimizer.step(network.parameters(), step, 0.1)
    for name, array in optimizers[0].state.items():
        np.testing.assert_array_equal(optimizers[1].state[name], array, err_msg=name)
    assert {name.partition("/")[0] for name in state} >= {"average", "dense_1.kernel"}
    with pytest.raises(KeyError, match="average/"):
        optimizers[1].restore(3, {})


def test_with_a_decay_of_0_nothing_is_averaged(rng):
    network = small()
    optimizer = ExponentialMovingAverage(SGD(0.1), network, 0.0)
    optimizer.step(network.parameters(), gradients(network, rng), 0.1)
    own = network.parameters()["dense_1.kernel"].copy()
    with optimizer.averaged():
        np.testing.assert_array_equal(network.parameters()["dense_1.kernel"], own)
    assert not any(name.startswith("average/") for name in optimizer.state)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_decays_it_refuses(decay):
    with pytest.raises(OptionError, match="decay must be at least 0 and below 1, not"):
        ExponentialMovingAverage(SGD(0.1), small(), decay)
