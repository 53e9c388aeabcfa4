import os
import signal

import numpy as np
import pytest

from nncore.errors import ShapeError, TrainingError
from nncore.layers import Dense, Dropout, Flatten, ReLU
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.sequential import Sequential
from nncore.training.loop import Interruption, check_finite, evaluate


@pytest.fixture
def network():
    return Sequential([Flatten(), Dense(20), ReLU(), Dropout(0.5), Dense(10)], (28, 28, 1), seed=1)


@pytest.mark.parametrize("count", [1, 128, 300])
def test_evaluate_against_the_definition(rng, network, count):
    images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, count, dtype=np.uint8)
    loss, accuracy, logits = evaluate(network, images, labels)
    x = images.reshape(count, 784) / np.float32(255)
    for layer in (network.layers[1], network.layers[4]):
        x = x @ layer.parameters["kernel"] + layer.parameters["bias"]
        x = np.maximum(x, 0) if x.shape[1] == 20 else x
    np.testing.assert_allclose(logits, x, rtol=1e-4, atol=1e-5)
    powers = np.exp(x.astype(np.float64))
    shares = powers[np.arange(count), labels] / powers.sum(axis=1)
    assert loss == pytest.approx(-np.log(shares).mean(), rel=1e-5)
    assert accuracy == pytest.approx((logits.argmax(axis=1) == labels).mean())
    assert type(loss) is type(accuracy) is float


def test_evaluate_leaves_no_trace(rng, network):
    before = {name: array.copy() for name, array in {**network.parameters(), **network.state()}.items()}
    evaluate(network, np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8))
    for name, array in {**network.parameters(), **network.state()}.items():
        np.testing.assert_array_equal(array, before[name])


def test_evaluate_refuses_no_images(network):
    with pytest.raises(ShapeError, match="at least 1"):
        evaluate(network, np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8))


# A loss that is no longer a number


X = np.ones((2, 28, 28, 1), np.float32)


def measured(network):
    with np.errstate(all="ignore"):
        return SoftmaxCrossEntropy().forward(network.forward(X), np.zeros(2, np.uint8))


def test_a_number_is_no_reason_to_stop(network):
    check_finite(measured(network), network, X, 3, 0.1)
    check_finite(1e300, network, X, 3, 0.1)


@pytest.mark.parametrize("name", ["dense_1.kernel", "dense_1.bias", "dense_2.kernel", "dense_2.bias"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_error_names_step_rate_and_the_layer_with_a_broken_weight(network, name, bad):
    network.parameters()[name][...] = bad
    network.parameters()["dense_2.bias"][3] = bad
    with pytest.raises(TrainingError) as error:
        check_finite(measured(network), network, X, step=41, learning_rate=0.25)
    assert str(error.value) == (
        "the loss is nan at step 41, with learning rate 0.25: the first number to grow beyond all bounds is "
        f"a weight of {name[:7]}. Try a smaller --learning-rate."
    )


@pytest.mark.parametrize("name", ["dense_1", "dense_2"])
def test_the_error_names_the_layer_whose_output_is_too_large(network, name):
    network.parameters()[f"{name}.kernel"][...] = 3e38
    network.parameters()["dense_1.bias"][...] = 5
    with pytest.raises(TrainingError, match=f"bounds is the output of {name}. Try"):
        check_finite(measured(network), network, X, 0, 1.0)


def test_a_loss_that_breaks_after_sound_logits_is_named_itself(network):
    with pytest.raises(TrainingError, match=r"the loss is inf .* is the loss itself\. Try"):
        check_finite(float("inf"), network, X, 0, 1.0)


# Stopping on request


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_is_noted_and_stops_nothing(number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested
    assert signal.getsignal(number) is before


def test_a_second_request_stops_at_once(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    clock = [100.0]
    monkeypatch.setattr("nncore.training.loop.time.monotonic", lambda: clock[0])
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # the same signal, delivered twice
        clock[0] += 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert interruption.requested
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_are_given_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="trouble"), Interruption():
        raise ValueError("trouble")
    assert signal.getsignal(signal.SIGINT) is before
