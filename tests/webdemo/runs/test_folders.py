"""Runs as the page is told of them, however broken their folders are, through Flask's test training_client."""

import json
import os
import time

import numpy as np
import pytest

from nncore.training.recorder import LIVE, read_snapshot, set_status
from tests.webdemo.made_runs import make_run
from webdemo.app import create_app
from webdemo.runs import folders


def strict(answer):
    """JSON as browsers read it, which know no NaN."""
    return json.loads(answer.data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_without_runs_the_list_is_empty(weights, tmp_path, training_client):
    assert training_client.get("/api/runs").json["runs"] == []
    nowhere = create_app(weights, runs=tmp_path / "nowhere").test_client().get("/api/runs").json
    assert (nowhere["runs"], nowhere["more"]) == ([], 0)


def test_a_run_is_described(training_client, runs):
    folder = make_run(runs, "first", learning_rate=0.25, data_dir="/secret", dataset="mnist+/secret/more.csv")
    (listed,) = strict(training_client.get("/api/runs"))["runs"]
    assert (listed["name"], listed["state"], listed["words"], listed["resumable"]) == ("first", "finished", "", False)
    assert (listed["epoch"], listed["settings"]["epochs"], listed["settings"]["learning_rate"]) == (3, 3, 0.25)
    assert "secret" not in training_client.get("/api/runs/first").text

    run = strict(training_client.get("/api/runs/first"))
    assert {name: run[name] for name in listed} == listed
    assert run["snapshots"] == [0, 1, 2, 3]
    assert run["history"]["validation_loss"] == [1, 0.5, 0.25]
    assert run["history"]["validation_accuracy"][-1] == listed["validation_accuracy"]
    assert run["live"].keys() == set(LIVE)
    assert run["live"]["epoch"] == [1, 2, 3]

    pictures = strict(training_client.get("/api/runs/first/digits"))["digits"]
    assert [digit["label"] for digit in pictures] == sorted(list(range(10)) * 2)
    for epoch in range(4):
        snapshot, shown = read_snapshot(folder, epoch), strict(training_client.get(f"/api/runs/first/epochs/{epoch}"))
        np.testing.assert_allclose(shown["probabilities"], snapshot.probabilities, atol=1e-5)
        np.testing.assert_allclose(shown["filters"], snapshot.filters[:, :, 0].transpose(2, 0, 1), atol=1e-5)
        assert shown["confusion"] == (None if epoch == 0 else snapshot.confusion.tolist())


def test_the_newest_comes_first_and_not_too_many(training_client, runs, monkeypatch):
    for number, name in enumerate(["b", "a", "c"]):
        folder = make_run(runs, name, epochs=1)
        os.utime(folder / "config.json", (1000 + number, 1000 + number))
    (runs / ".hidden").mkdir()
    (runs / "file").write_text("no run")
    monkeypatch.setattr(folders, "MAX_RUNS", 2)
    listed = training_client.get("/api/runs").json
    assert ([run["name"] for run in listed["runs"]], listed["more"]) == (["c", "a"], 1)
    assert training_client.get("/api/runs/b").status_code == 200


def test_what_changes_is_told_by_another_text(training_client, runs):
    folder = make_run(runs, "one", done=1)
    before = training_client.get("/api/runs").json["runs"][0]["changed"]
    assert training_client.get("/api/runs").json["runs"][0]["changed"] == before
    with (folder / "live.csv").open("a") as file:
        file.write("9,2.25,1.0,0.5,0.1\n")
    os.utime(folder / "live.csv", (time.time() + 1, time.time() + 1))
    assert training_client.get("/api/runs").json["runs"][0]["changed"] != before


def test_long_curves_are_thinned(training_client, runs, monkeypatch):
    folder = make_run(runs, "long")
    rows = [f"{step},{step / 100},1.0,0.5,0.1\n" for step in range(1000)]
    (folder / "live.csv").write_text(",".join(LIVE) + "\n" + "".join(rows))
    monkeypatch.setattr(folders, "MAX_POINTS", 90)
    steps = training_client.get("/api/runs/long").json["live"]["step"]
    assert 80 <= len(steps) <= 90
    assert steps[-1] == 999
    assert steps == sorted(steps)


def test_what_is_no_number_is_null(training_client, runs):
    folder = make_run(runs, "nan")
    (folder / "live.csv").write_text(",".join(LIVE) + "\n1,0.25,nan,inf,0.1\n")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"learning_rate": 0.004', '"learning_rate": Infinity'))
    run = strict(training_client.get("/api/runs/nan"))
    assert (run["live"]["loss"], run["live"]["accuracy"]) == ([None], [None])
    assert run["settings"]["learning_rate"] is None


# What has become of a run


def age(folder, seconds):
    then = time.time() - seconds
    for path in folder.glob("*.*"):
        os.utime(path, (then, then))


def test_what_has_become_of_a_run(training_client, runs):
    def states():
        return {run["name"]: (run["state"], run["resumable"]) for run in training_client.get("/api/runs").json["runs"]}

    make_run(runs, "finished")
    make_run(runs, "stopped", done=1)
    set_status(make_run(runs, "training", done=1), "training")
    silent = make_run(runs, "silent", done=1)
    set_status(silent, "training")
    age(silent, 1000)
    set_status(make_run(runs, "failed"), "failed", "the loss is nan")
    for name, done, seconds in (("old", 3, 1000), ("old-stopped", 1, 1000), ("just-begun", 0, 1)):
        folder = make_run(runs, name, done=done)
        (folder / "status.json").unlink()
        age(folder, seconds)
    assert states() == {
        "finished": ("finished", False),
        "stopped": ("stopped", True),
        "training": ("training", False),
        "silent": ("silent", True),
        "failed": ("failed", False),
        "old": ("finished", False),
        "old-stopped": ("stopped", True),
        "just-begun": ("training", False),
    }
    words = {run["name"]: run["words"] for run in training_client.get("/api/runs").json["runs"]}
    assert words["failed"] == "the loss is nan"
    assert "killed" in words["silent"]


SPOILT = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[1]",
    b"3",
    b'"text"',
    b"null",
    b'{"epochs": "many"}',
    b'{"epochs": [5]}',
    b"\0" * 99,
]


@pytest.mark.parametrize(
    "file", ["config.json", "status.json", "history.csv", "live.csv", "digits.npz", "epochs/0001.npz"]
)
@pytest.mark.parametrize("kind", ["spoilt", "cut", "gone", "folder"])
def test_no_run_is_too_broken_to_be_listed(training_client, runs, file, kind):
    make_run(runs, "sound")
    path = make_run(runs, "run") / file
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    for spoilt in {"spoilt": SPOILT, "cut": [content[:-9], content[: len(content) // 2]]}.get(kind, [None]):
        if spoilt is not None:
            path.write_bytes(spoilt)
        listed = {run["name"]: run for run in strict(training_client.get("/api/runs"))["runs"]}
        assert listed["sound"]["state"] == "finished"
        if file in ("config.json", "status.json") and (kind, file) != ("gone", "status.json"):
            assert listed["run"]["state"] == "broken"
            assert file in listed["run"]["words"]
            assert str(runs) not in listed["run"]["words"]
        if file == "history.csv":
            assert ("history.csv" in listed["run"]["words"]) == (listed["run"]["epoch"] == 0)
            assert listed["run"]["epoch"] == 0 or kind == "cut"
        assert strict(training_client.get("/api/runs/run"))["name"] == "run"
        for address in ("digits", "epochs/1"):
            answer = training_client.get(f"/api/runs/run/{address}")
            assert answer.status_code in (200, 404)
            assert "sound" in answer.json.get("detail", "sound") or "spoilt" in answer.json["detail"]


def test_an_empty_folder_is_shown_as_broken(training_client, runs):
    (runs / "empty").mkdir()
    (run,) = training_client.get("/api/runs").json["runs"]
    assert (run["state"], run["words"][:11]) == ("broken", "config.json")
