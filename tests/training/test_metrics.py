import math

import numpy as np
import pytest

from nncore.errors import DataError, ShapeError
from nncore.training.metrics import accuracy, confusion_matrix, precision_recall, wilson_interval


@pytest.mark.parametrize("n", [1, 2, 57])
def test_accuracy_of_logits_and_of_predictions(rng, n):
    logits, labels = rng.normal(size=(n, 10)).astype(np.float32), rng.integers(0, 3, n, dtype=np.uint8)
    right = sum(max(range(10), key=lambda k: logits[i, k]) == labels[i] for i in range(n))
    assert accuracy(logits, labels) == right / n
    assert accuracy(logits.argmax(axis=1), labels) == right / n


def test_accuracy_takes_the_first_of_equal_logits():
    assert accuracy(np.zeros((2, 4)), np.array([0, 1])) == 0.5


@pytest.mark.parametrize("shapes", [((3, 10), (2,)), ((3,), (2,)), ((0, 10), (0,)), ((3, 0), (3,)), ((2, 2), (2, 2))])
def test_accuracy_refuses_shapes_that_do_not_fit(shapes):
    with pytest.raises(ShapeError, match="accuracy: got predictions of shape"):
        accuracy(np.zeros(shapes[0]), np.zeros(shapes[1], int))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_confusion_matrix_counts(rng, dtype):
    labels, predictions = rng.integers(0, 10, (2, 300)).astype(dtype)
    expected = np.zeros((10, 10), int)
    for label, prediction in zip(labels, predictions, strict=True):
        expected[label, prediction] += 1
    confusion = confusion_matrix(labels, predictions)
    assert confusion.dtype == np.int64
    np.testing.assert_array_equal(confusion, expected)
    assert confusion.trace() / 300 == pytest.approx(accuracy(predictions, labels))


def test_confusion_matrix_of_nothing_and_of_many_classes():
    nothing = np.zeros(0, np.uint8)
    np.testing.assert_array_equal(confusion_matrix(nothing, nothing, 3), np.zeros((3, 3)))
    last = np.array([199], np.uint8)  # 199 * 200 does not fit into uint8
    assert confusion_matrix(last, last, 200)[199, 199] == 1


def test_confusion_matrix_refuses_what_it_cannot_count():
    good = np.array([0, 1])
    with pytest.raises(DataError, match="predictions run from 0 to 10; expected 0 to 9"):
        confusion_matrix(good, np.array([0, 10]))
    with pytest.raises(DataError, match="labels run from -1 to 1"):
        confusion_matrix(np.array([1, -1]), good)
    with pytest.raises(ShapeError, match="confusion_matrix"):
        confusion_matrix(good, np.array([0]))


def test_precision_and_recall_by_counting(rng):
    labels, predictions = rng.integers(0, 8, 200), rng.integers(2, 10, 200)  # 0 and 1 never predicted, 8 and 9 absent
    precision, recall = precision_recall(confusion_matrix(labels, predictions))
    for k in range(10):
        hits = sum(labels[i] == predictions[i] == k for i in range(200))
        predicted, existing = list(predictions).count(k), list(labels).count(k)
        assert precision[k] == (hits / predicted if predicted else 0)
        assert recall[k] == (hits / existing if existing else 0)


@pytest.mark.parametrize(("correct", "total"), [(0, 1), (1, 1), (0, 10), (81, 263), (9950, 10000), (10000, 10000)])
def test_wilson_interval_ends_where_the_share_seen_is_just_plausible(correct, total):
    # Wilson's definition: the shares p from which what was seen is no more than 1.96 standard deviations away.
    low, high = wilson_interval(correct, total)
    assert 0 <= low <= correct / total <= high <= 1
    for p in (low, high):
        assert abs(correct / total - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / total), rel=1e-6, abs=1e-9)


def test_wilson_interval_known_values():
    # Newcombe, "Two-sided confidence intervals for the single proportion", Statist. Med. 17 (1998), table I.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.parametrize(("correct", "total"), [(3, 2), (-1, 2)])
def test_wilson_interval_refuses_impossible_counts(correct, total):
    with pytest.raises(DataError, match="expected 0 <= correct <= total"):
        wilson_interval(correct, total)
