import csv
import json
import math
import os
from dataclasses import asdict, replace

import numpy as np
import pytest

from nncore.errors import NNCoreError, WeightsError
from nncore.layers import BatchNorm, Dense, Dropout, ReLU
from nncore.network import weights
from nncore.network.sequential import Sequential
from nncore.optimizers import OPTIMIZERS
from nncore.training import run as runs
from nncore.training.averaging import ExponentialMovingAverage
from nncore.training.options import DEFAULT
from nncore.training.run import COLUMNS, Progress, Run


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def network(seed=0, units=4):
    return Sequential([Dense(6), BatchNorm(), ReLU(), Dropout(0.5), Dense(units)], (5,), seed)


def step(trained, optimizer, rng):
    y = trained.forward(rng.standard_normal((8, 5)), training=True)
    trained.backward(y - 1)
    optimizer.step(trained.parameters(), trained.gradients(), 0.1)


def averaging(optimized, name="sgd", decay=0.0):
    return ExponentialMovingAverage(OPTIMIZERS[name](), optimized, decay)


# Progress


def test_an_epoch_is_summed_by_images_and_turned_into_a_line():
    progress = Progress()
    progress.add(loss=2.0, correct=3, images=10)
    progress.add(loss=1.0, correct=1, images=5)
    progress.seconds = 7.5
    assert (progress.batch, progress.images) == (2, 15)
    assert progress.mean_loss == pytest.approx((2.0 * 10 + 1.0 * 5) / 15)
    assert progress.accuracy == pytest.approx(4 / 15)
    row = progress.end_epoch(validation_loss=0.5, validation_accuracy=0.75, learning_rate=0.01)
    assert list(row) == list(COLUMNS)
    assert list(row.values()) == [1, pytest.approx(25 / 15), pytest.approx(4 / 15), 0.5, 0.75, 0.01, 7.5]
    assert progress == Progress(epoch=1, history=[row])


def test_history_grows_by_an_epoch_at_a_time():
    progress = Progress()
    for epoch in range(3):
        progress.add(1.0 / (epoch + 1), 1, 2)
        progress.end_epoch(0.0, 1.0, 0.1)
    assert [row["epoch"] for row in progress.history] == [1, 2, 3]
    assert [row["train_loss"] for row in progress.history] == [1.0, 0.5, pytest.approx(1 / 3)]


# The folder


def test_a_new_run_has_its_settings_in_a_folder_of_its_own(tmp_path):
    options = replace(DEFAULT, model="compact", seed=5)
    made = [Run.create(options) for _ in range(4)]
    folders = [run.folder for run in made]
    assert len(set(folders)) == 4
    for run in made:
        assert run.folder.parent.resolve() == tmp_path / "runs"
        assert run.folder.name.startswith("compact-")
        assert os.listdir(run.folder) == ["config.json"]
        assert Run(run.folder).settings() == asdict(options)


def test_runs_may_be_kept_elsewhere(tmp_path):
    assert Run.create(DEFAULT, tmp_path / "others").folder.parent == tmp_path / "others"


def test_settings_are_those_a_run_begins_with(tmp_path):
    """Once it has a checkpoint, what is given anew (threads, places) holds for the time being only."""
    run = Run.create(DEFAULT)
    begun = replace(DEFAULT, dataset="synthetic", threads=1)
    assert Run.open(run.folder, begun).settings() == asdict(begun)
    run.save(network(), averaging(network(), "sgd"), Progress())
    assert Run.open(run.folder, DEFAULT).settings() == asdict(begun)


def test_runs_of_the_same_second_do_not_share_a_folder(monkeypatch):
    monkeypatch.setattr(runs.time, "strftime", lambda form: "now")
    assert [Run.create(DEFAULT).folder.name for _ in range(3)] == [
        "reference-now",
        "reference-now-2",
        "reference-now-3",
    ]


def test_where_no_folder_can_be_made_the_error_says_so(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(NNCoreError, match="no folder for the run can be made here"):
        Run.create(DEFAULT)


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe", b"[1]", b"3"])
def test_a_folder_without_a_run_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(NNCoreError) as error:
        Run(tmp_path).settings()
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("name", ["nothing", "file"])
def test_what_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(NNCoreError, match="holds no run that could be resumed"):
        Run(tmp_path / name).settings()


# Checkpoints


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restored_run_goes_on_bit_for_bit(tmp_path, rng, name):
    trained, progress = network(), Progress()
    optimizer = averaging(trained, name, 0.9)
    progress.add(1 / 3, 5, 8)
    progress.seconds = 0.1 + 0.2
    progress.end_epoch(0.7, 1e-300, math.pi)
    progress.add(2 / 3, 1, 8)
    for _ in range(3):
        step(trained, optimizer, rng)
    Run(tmp_path).save(trained, optimizer, progress)

    again = network(seed=9)
    optimizer_again = averaging(again, name, 0.9)
    assert Run(tmp_path).restore(again, optimizer_again) == progress
    assert optimizer_again.steps == 3
    seed = int(rng.integers(2**31))
    for one, other in ((trained, optimizer), (again, optimizer_again)):
        step(one, other, np.random.default_rng(seed))
    for get in (Sequential.parameters, Sequential.state):
        for key, array in get(trained).items():
            assert array.tobytes() == get(again)[key].tobytes()
    assert optimizer.state.keys() == optimizer_again.state.keys()
    for key, array in optimizer.state.items():
        assert array.tobytes() == optimizer_again.state[key].tobytes()


def test_a_run_without_a_checkpoint_begins_at_the_beginning(tmp_path):
    fresh = network()
    assert Run(tmp_path).restore(fresh, averaging(fresh)) == Progress()
    for key, array in network().parameters().items():
        np.testing.assert_array_equal(fresh.parameters()[key], array)


def test_history_is_a_table_that_other_programs_can_read(tmp_path):
    progress = Progress()
    for epoch in range(3):
        progress.add(0.1 * epoch, epoch, 7)
        progress.end_epoch(0.2, 0.3, 1e-5)
    Run(tmp_path).save(network(), averaging(network(), "sgd"), progress)
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == progress.history
    Run(tmp_path).save(network(), averaging(network(), "sgd"), Progress())
    assert (tmp_path / "history.csv").read_text().split() == [",".join(COLUMNS)]


def test_an_interrupted_save_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    run, optimizer = Run(tmp_path), averaging(network())
    run.save(network(seed=1), optimizer, Progress(epoch=1))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((OSError, WeightsError), match="No space left"):
        run.save(network(seed=2), optimizer, Progress(epoch=2))
    again = network()
    assert run.restore(again, optimizer).epoch == 1
    for key, array in network(seed=1).parameters().items():
        np.testing.assert_array_equal(again.parameters()[key], array)


def refused(run, units=4):
    fresh = network(units=units)
    with pytest.raises(WeightsError) as error:
        run.restore(fresh, averaging(fresh, "adam"))
    assert str(run.checkpoint) in str(error.value)
    return str(error.value)


def test_a_damaged_checkpoint_is_refused(tmp_path, rng):
    run, trained = Run(tmp_path), network()
    optimizer = averaging(trained, "adam")
    step(trained, optimizer, rng)
    run.save(trained, optimizer, Progress())
    good = run.checkpoint.read_bytes()
    for content in (b"", b"text", good[:-1], good[: len(good) // 2], good.replace(b"\x93NUMPY", b"\x93NUMPX", 3)):
        run.checkpoint.write_bytes(content)
        refused(run)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    run = Run(tmp_path)
    run.save(network(), averaging(network(), "adam"), Progress())
    assert "does not belong to this run: dense_2" in refused(run, units=3)
    network().save(run.checkpoint)
    assert "does not belong to this run" in refused(run)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("steps"),
        lambda d: d.update(steps="many"),
        lambda d: d.pop("progress"),
        lambda d: d.update(progress=3),
        lambda d: d["progress"].update(colour="red"),
    ],
)
def test_a_checkpoint_with_another_description_is_refused(tmp_path, change):
    run = Run(tmp_path)
    run.save(network(), averaging(network(), "sgd"), Progress())
    with weights.Reader(run.checkpoint) as file:
        arrays, description = file.arrays(), json.loads(json.dumps(file.metadata))
    change(description)
    weights.write(run.checkpoint, arrays, description)
    assert "does not belong to this run" in refused(run)
