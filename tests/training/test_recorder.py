"""What a run leaves for people to watch, and what is read of it."""

import json
import os

import numpy as np
import pytest

from nncore.data.dataset import Images, network_input
from nncore.errors import NNCoreError, TrainingError, WeightsError
from nncore.layers.activations import softmax
from nncore.network import weights
from nncore.network.models import compact
from nncore.training import recorder as snapshots
from nncore.training.metrics import confusion_matrix
from nncore.training.recorder import (
    LIVE,
    Recorder,
    read_digits,
    read_history,
    read_live,
    read_snapshot,
    read_status,
    set_status,
    watched,
)
from nncore.training.run import COLUMNS, Progress

STEPS = 3  # of an epoch


@pytest.fixture
def held_out(rng):
    images = rng.integers(0, 256, (60, 28, 28), np.uint8)
    return Images(images, rng.permutation(np.arange(60, dtype=np.uint8) % 10))


@pytest.fixture
def network():
    return compact(seed=4)


@pytest.fixture
def clock(monkeypatch):
    """Time stands still, unless a test moves it on."""
    now = [0.0]
    monkeypatch.setattr(snapshots.time, "monotonic", lambda: now[0])
    return now


def step(recorder, progress, loss, correct=1, learning_rate=0.1):
    progress.add(loss, correct, 4)
    recorder.step(learning_rate)


def test_two_digits_of_each_class_are_watched(rng):
    labels = rng.integers(0, 3, 50).astype(np.uint8)
    labels[-1] = 7
    chosen = watched(labels)
    assert labels[chosen].tolist() == [0, 0, 1, 1, 2, 2, 7]
    assert [chosen[0], chosen[1]] == np.flatnonzero(labels == 0)[:2].tolist()


def test_a_run_from_start_to_end(tmp_path, network, held_out, rng, clock):
    progress, logits = Progress(), rng.standard_normal((2, 60, 10)).astype(np.float32)
    with Recorder(tmp_path, network, progress, held_out, STEPS, 2) as recorder:
        assert read_status(tmp_path) == ("training", "")
        untrained = read_snapshot(tmp_path, 0)
        for epoch in range(2):
            for loss in (3.0, 2.0, 1.0):
                step(recorder, progress, loss - epoch)
            recorder.epoch(logits[epoch])
            progress.end_epoch(0.5, 0.5, 0.1)
        kernel = network.layers[0].parameters["kernel"]
        kernel += 1
    assert read_status(tmp_path) == ("finished", "")

    images, labels = read_digits(tmp_path)
    chosen = watched(held_out[1])
    np.testing.assert_array_equal(images, held_out[0][chosen])
    assert labels.tolist() == [label for label in range(10) for _ in range(2)]

    assert snapshots.snapshots(tmp_path) == [0, 1, 2]
    assert untrained.confusion is None
    np.testing.assert_allclose(untrained.filters, kernel - 1, atol=1e-6)
    for epoch in range(2):
        snapshot = read_snapshot(tmp_path, epoch + 1)
        np.testing.assert_allclose(snapshot.probabilities, softmax(logits[epoch][chosen]), rtol=1e-6)
        np.testing.assert_array_equal(snapshot.confusion, confusion_matrix(held_out[1], logits[epoch].argmax(axis=1)))
    assert [(row["step"], row["epoch"], row["loss"]) for row in read_live(tmp_path)] == [(3, 1, 2), (6, 2, 1)]


def test_the_untrained_network_is_asked_what_it_makes_of_the_digits(tmp_path, network, held_out):
    with Recorder(tmp_path, network, Progress(), held_out, STEPS, 2):
        pass
    expected = softmax(network.predict(network_input(read_digits(tmp_path)[0])))
    np.testing.assert_allclose(read_snapshot(tmp_path, 0).probabilities, expected, rtol=1e-5)


def test_a_point_a_second_is_the_mean_since_the_one_before(tmp_path, network, held_out, clock):
    progress = Progress()
    with Recorder(tmp_path, network, progress, held_out, 100, 1) as recorder:
        for number in range(10):
            clock[0] += 0.4
            step(recorder, progress, float(number), number % 4, learning_rate=number / 10)
    rows = read_live(tmp_path)
    assert [row["step"] for row in rows] == [3, 6, 9, 10]
    assert [row["loss"] for row in rows] == pytest.approx([1, 4, 7, 9])
    assert [row["accuracy"] for row in rows] == pytest.approx([0.25, 0.25 * 4 / 3, 0.25 * 5 / 3, 0.25])
    assert [row["learning_rate"] for row in rows] == [0.2, 0.5, 0.8, 0.9]
    assert [row["epoch"] for row in rows] == [0.03, 0.06, 0.09, 0.1]


def test_what_a_killed_run_recorded_after_its_last_checkpoint_is_recorded_anew(tmp_path, network, held_out, rng, clock):
    logits = rng.standard_normal((60, 10)).astype(np.float32)

    def go_on(progress, epochs):
        with Recorder(tmp_path, network, progress, held_out, STEPS, 9) as recorder:
            for _ in range(epochs):
                for _ in range(STEPS - progress.batch):
                    clock[0] += 1
                    step(recorder, progress, 1.0)
                recorder.epoch(logits)
                progress.end_epoch(0.5, 0.5, 0.1)
        return [row["step"] for row in read_live(tmp_path)], snapshots.snapshots(tmp_path)

    assert go_on(Progress(), 2) == ([1, 2, 3, 4, 5, 6], [0, 1, 2])
    untrained = read_snapshot(tmp_path, 0).filters
    network.layers[0].parameters["kernel"] += 1
    assert go_on(Progress(epoch=1), 0) == ([1, 2, 3], [0, 1])
    assert go_on(Progress(epoch=1), 2) == ([1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 1, 2, 3])
    assert not np.array_equal(untrained, network.layers[0].parameters["kernel"])
    np.testing.assert_array_equal(read_snapshot(tmp_path, 0).filters, untrained)  # the beginning stays the beginning
    within = Progress(epoch=2, batch=1, loss=4.0, correct=1, images=4)
    assert go_on(within, 1) == ([1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 1, 2, 3])
    assert read_live(tmp_path)[-1]["loss"] == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TrainingError("the loss is nan"), "the loss is nan"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError('division by zero')"),
    ],
)
def test_a_run_that_failed_says_why(tmp_path, network, held_out, error, words, clock):
    progress = Progress()

    def train():
        with Recorder(tmp_path, network, progress, held_out, STEPS, 1) as recorder:
            step(recorder, progress, 7.0)
            raise error

    with pytest.raises(type(error)):
        train()
    assert read_status(tmp_path) == ("failed", words)
    assert [row["loss"] for row in read_live(tmp_path)] == [7]  # how it came to that is seen as well


def test_stopped_at_once_or_after_a_step_is_stopped(tmp_path, network, held_out):
    with Recorder(tmp_path, network, Progress(epoch=1), held_out, STEPS, 2):
        pass
    assert read_status(tmp_path) == ("stopped", "")
    set_status(tmp_path, "finished")
    with pytest.raises(KeyboardInterrupt), Recorder(tmp_path, network, Progress(epoch=1), held_out, STEPS, 2):
        raise KeyboardInterrupt
    assert read_status(tmp_path) == ("stopped", "")


def test_an_epoch_that_ends_in_no_number_has_no_snapshot_and_is_counted_once(tmp_path, network, held_out):
    progress = Progress()

    def train():
        with Recorder(tmp_path, network, progress, held_out, STEPS, 2) as recorder:
            step(recorder, progress, 5.0)
            recorder.epoch(np.full((60, 10), np.nan, np.float32))
            raise TrainingError("broken")

    with pytest.raises(TrainingError):
        train()
    assert snapshots.snapshots(tmp_path) == [0]
    assert len(read_live(tmp_path)) == 1


def test_a_full_disk_at_the_end_does_not_hide_why_the_run_ended(tmp_path, network, held_out, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    def train():
        with Recorder(tmp_path, network, Progress(), held_out, STEPS, 2):
            monkeypatch.setattr(os, "fsync", full)
            raise TrainingError("broken")

    with pytest.raises(TrainingError):
        train()


# Reading what is spoilt


def test_a_line_that_is_still_being_written_is_left_out(tmp_path):
    (tmp_path / "live.csv").write_text(",".join(LIVE) + "\n1,0.1,2.0,0.5,0.1\n2,0.2,2.0,0.5,0.1\n3,0.3,2.0,0.5,0.")
    assert [row["step"] for row in read_live(tmp_path)] == [1, 2]
    (tmp_path / "live.csv").write_text(",".join(LIVE) + "\n1,0.1,2.0,0.5\nx,,,,\n\n5,0.2,nan,0.5,0.1\n")
    assert [row["step"] for row in read_live(tmp_path)] == [5]


@pytest.mark.parametrize("content", [b"", b"\xff", b"step,loss\n1,2\n", b"nothing"])
def test_a_table_with_other_columns_has_no_lines(tmp_path, content):
    (tmp_path / "live.csv").write_bytes(content)
    assert read_live(tmp_path) == []
    assert read_live(tmp_path / "nowhere") == []
    (tmp_path / "history.csv").write_text(",".join(COLUMNS) + "\r\n1,2,3,4,5,6,7\r\n")
    assert [list(row.values()) for row in read_history(tmp_path)] == [[1, 2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[1]", b"3", b"{}", b'{"state": "x", "words": ""}', b'{"state": [], "words": 1}']
)
def test_a_spoilt_status_is_refused(tmp_path, content):
    assert read_status(tmp_path) is None
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(NNCoreError, match=r"status\.json"):
        read_status(tmp_path)
    (tmp_path / "status.json").write_text(json.dumps({"state": "failed", "words": "why"}))
    assert read_status(tmp_path) == ("failed", "why")


def test_a_spoilt_snapshot_is_refused(tmp_path, held_out, network):
    with Recorder(tmp_path, network, Progress(), held_out, STEPS, 2):
        pass
    path = tmp_path / "epochs" / "0000.npz"
    good = path.read_bytes()
    path.write_bytes(good[:-30])
    with pytest.raises(WeightsError, match="0000"):
        read_snapshot(tmp_path, 0)
    with pytest.raises(WeightsError, match="0007"):
        read_snapshot(tmp_path, 7)
    for arrays in ({}, {"probabilities": np.zeros(3)}, {"probabilities": np.array([["text"]])}):
        weights.write(path, arrays, {})
        with pytest.raises(WeightsError, match="is no snapshot"):
            read_snapshot(tmp_path, 0)
    for arrays in ({}, {"images": np.zeros((2, 28, 28), np.uint8), "labels": np.zeros(3, np.uint8)}):
        weights.write(tmp_path / "digits.npz", arrays, {})
        with pytest.raises(WeightsError, match="does not hold digits"):
            read_digits(tmp_path)
