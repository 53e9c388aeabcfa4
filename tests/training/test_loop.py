import os
import signal

import numpy as np
import pytest

from nncore.errors import TrainingError
from nncore.layers import Dense, Dropout, Flatten, ReLU
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.sequential import Sequential
from nncore.training.loop import Interruption, check_finite


@pytest.fixture
def network():
    return Sequential([Flatten(), Dense(20), ReLU(), Dropout(0.5), Dense(10)], (28, 28, 1), seed=1)


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
