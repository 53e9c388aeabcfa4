import numpy as np
import pytest

from nncore.errors import ShapeError
from nncore.layers.activations import softmax
from nncore.training.calibration import COLDEST, HOTTEST, expected_calibration_error, fit_temperature
from nncore.types import Array, Integers


def logits_and_labels(rng: np.random.Generator, count: int, classes: int = 10) -> tuple[Array, Integers]:
    """Labels drawn with the very probabilities that the logits stand for."""
    logits = rng.normal(0, 2, (count, classes))
    ends = softmax(logits).cumsum(axis=1)
    return logits, (rng.random((count, 1)) > ends[:, :-1]).sum(axis=1)


def likelihood(logits: Array, labels: Integers, temperature: float) -> float:
    return float(np.log(softmax(logits / temperature)[np.arange(len(labels)), labels]).mean())


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_finds_the_temperature_that_was_applied(rng: np.random.Generator, temperature: float) -> None:
    logits, labels = logits_and_labels(rng, 40_000)
    assert fit_temperature((temperature * logits).astype(np.float32), labels) == pytest.approx(temperature, rel=0.04)


@pytest.mark.parametrize("classes", [2, 11])
def test_no_other_temperature_is_more_likely(rng: np.random.Generator, classes: int) -> None:
    logits, labels = logits_and_labels(rng, 200, classes)
    fitted = fit_temperature(logits, labels)
    best = likelihood(logits, labels, fitted)
    for other in (0.1, 0.9, 0.999, 1.001, 1.1, 10):
        assert likelihood(logits, labels, fitted * other) < best
    assert fit_temperature(logits + rng.normal(0, 1000, (200, 1)), labels) == pytest.approx(fitted, rel=1e-6)


def test_a_temperature_by_hand() -> None:
    # Right in 3 of 4, always by a lead of 2: the softmax is 3/4 where 2 / T = log 3.
    logits = np.tile([2.0, 0.0], (4, 1))
    assert fit_temperature(logits, np.array([0, 0, 1, 0])) == pytest.approx(2 / np.log(3), rel=1e-6)


def test_where_there_is_no_best_temperature() -> None:
    logits = np.eye(3) * 2
    assert fit_temperature(logits, np.arange(3)) == pytest.approx(COLDEST, rel=1e-6)
    assert fit_temperature(logits, (np.arange(3) + 1) % 3) == pytest.approx(HOTTEST, rel=1e-6)


def test_a_calibration_error_by_hand() -> None:
    # Two answers of 0.8, one of them right, and two of 1, both right: |1.6 - 1| of 4.
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0, 1], [0, 1]])
    assert expected_calibration_error(probabilities, np.array([0, 1, 1, 1])) == pytest.approx(0.6 / 4)
    assert expected_calibration_error(probabilities[2:], np.array([1, 1])) == 0
    assert expected_calibration_error(probabilities[2:], np.array([0, 0])) == 1
    # In one bin for all, too little and too much confidence outweigh each other.
    assert expected_calibration_error(probabilities, np.array([0, 1, 1, 0]), bins=1) == pytest.approx(0.4)


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_calibration_error_against_the_definition(rng: np.random.Generator, bins: int) -> None:
    logits, labels = logits_and_labels(rng, 300, 3)
    probabilities = softmax(logits)
    expected = 0.0
    for m in range(bins):
        inside = [i for i, p in enumerate(probabilities) if m / bins < p.max() <= (m + 1) / bins]
        if inside:
            confidence = np.mean([probabilities[i].max() for i in inside])
            accuracy = np.mean([probabilities[i].argmax() == labels[i] for i in inside])
            expected += len(inside) / 300 * abs(confidence - accuracy)
    assert expected_calibration_error(probabilities, labels, bins) == pytest.approx(expected)


def test_a_calibrated_network_has_nearly_no_error_and_one_too_sure_has(rng: np.random.Generator) -> None:
    logits, labels = logits_and_labels(rng, 20_000)
    assert expected_calibration_error(softmax(logits), labels) < 0.015
    assert expected_calibration_error(softmax(3 * logits), labels) > 0.1


@pytest.mark.parametrize("function", [fit_temperature, expected_calibration_error])
@pytest.mark.parametrize("shapes", [((3, 10), (2,)), ((3,), (3,)), ((0, 10), (0,)), ((3, 0), (3,)), ((2, 2), (2, 2))])
def test_refuses_shapes_that_do_not_fit(function, shapes) -> None:
    with pytest.raises(ShapeError, match=f"{function.__name__}: got scores of shape"):
        function(np.zeros(shapes[0]), np.zeros(shapes[1], int))
