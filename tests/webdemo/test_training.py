"""The addresses of the page on trainings, through Flask's test client; nothing is trained."""

import json
import os
import time

import numpy as np
import pytest

from nncore.snapshots import LIVE, read_snapshot, set_status
from tests.webdemo.runs import make_run
from webdemo import create_app, folders
from webdemo.trainer import BusyError
from webdemo.training import is_loopback


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def client(weights, runs):
    return create_app(weights, runs=runs, trainings=True).test_client()


def strict(answer):
    """JSON as browsers read it, which know no NaN."""
    return json.loads(answer.data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


# What is shown


def test_the_page_is_served_and_needs_nothing_inline(client):
    page = client.get("/training")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "<style" not in page.text
    assert " style=" not in page.text


def test_without_runs_the_list_is_empty(weights, tmp_path, client):
    assert client.get("/api/runs").json["runs"] == []
    nowhere = create_app(weights, runs=tmp_path / "nowhere").test_client().get("/api/runs").json
    assert (nowhere["runs"], nowhere["more"]) == ([], 0)


def test_a_run_is_described(client, runs):
    folder = make_run(runs, "first", learning_rate=0.25, data_dir="/secret", output="/secret/w.npz")
    (listed,) = strict(client.get("/api/runs"))["runs"]
    assert (listed["name"], listed["state"], listed["words"], listed["resumable"]) == ("first", "finished", "", False)
    assert (listed["epoch"], listed["settings"]["epochs"], listed["settings"]["learning_rate"]) == (3, 3, 0.25)
    assert "secret" not in client.get("/api/runs/first").text

    run = strict(client.get("/api/runs/first"))
    assert {name: run[name] for name in listed} == listed
    assert run["snapshots"] == [0, 1, 2, 3]
    assert run["history"]["validation_loss"] == [1, 0.5, 0.25]
    assert run["history"]["validation_accuracy"][-1] == listed["validation_accuracy"]
    assert run["live"].keys() == set(LIVE)
    assert run["live"]["epoch"] == [1, 2, 3]

    pictures = strict(client.get("/api/runs/first/digits"))["digits"]
    assert [digit["label"] for digit in pictures] == sorted(list(range(10)) * 2)
    for epoch in range(4):
        snapshot, shown = read_snapshot(folder, epoch), strict(client.get(f"/api/runs/first/epochs/{epoch}"))
        np.testing.assert_allclose(shown["probabilities"], snapshot.probabilities, atol=1e-5)
        np.testing.assert_allclose(shown["filters"], snapshot.filters[:, :, 0].transpose(2, 0, 1), atol=1e-5)
        assert shown["confusion"] == (None if epoch == 0 else snapshot.confusion.tolist())


def test_the_newest_comes_first_and_not_too_many(client, runs, monkeypatch):
    for number, name in enumerate(["b", "a", "c"]):
        folder = make_run(runs, name, epochs=1)
        os.utime(folder / "config.json", (1000 + number, 1000 + number))
    (runs / ".hidden").mkdir()
    (runs / "file").write_text("no run")
    monkeypatch.setattr(folders, "MOST_RUNS", 2)
    listed = client.get("/api/runs").json
    assert ([run["name"] for run in listed["runs"]], listed["more"]) == (["c", "a"], 1)
    assert client.get("/api/runs/b").status_code == 200


def test_what_changes_is_told_by_another_text(client, runs):
    folder = make_run(runs, "one", done=1)
    before = client.get("/api/runs").json["runs"][0]["changed"]
    assert client.get("/api/runs").json["runs"][0]["changed"] == before
    with (folder / "live.csv").open("a") as file:
        file.write("9,2.25,1.0,0.5,0.1\n")
    os.utime(folder / "live.csv", (time.time() + 1, time.time() + 1))
    assert client.get("/api/runs").json["runs"][0]["changed"] != before


def test_long_curves_are_thinned(client, runs, monkeypatch):
    folder = make_run(runs, "long")
    rows = [f"{step},{step / 100},1.0,0.5,0.1\n" for step in range(1000)]
    (folder / "live.csv").write_text(",".join(LIVE) + "\n" + "".join(rows))
    monkeypatch.setattr(folders, "MOST_POINTS", 90)
    steps = client.get("/api/runs/long").json["live"]["step"]
    assert 80 <= len(steps) <= 90
    assert steps[-1] == 999
    assert steps == sorted(steps)


def test_what_is_no_number_is_null(client, runs):
    folder = make_run(runs, "nan")
    (folder / "live.csv").write_text(",".join(LIVE) + "\n1,0.25,nan,inf,0.1\n")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"learning_rate": 0.004', '"learning_rate": Infinity'))
    run = strict(client.get("/api/runs/nan"))
    assert (run["live"]["loss"], run["live"]["accuracy"]) == ([None], [None])
    assert run["settings"]["learning_rate"] is None


# What has become of a run


def age(folder, seconds):
    then = time.time() - seconds
    for path in folder.glob("*.*"):
        os.utime(path, (then, then))


def test_what_has_become_of_a_run(client, runs):
    def states():
        return {run["name"]: (run["state"], run["resumable"]) for run in client.get("/api/runs").json["runs"]}

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
    words = {run["name"]: run["words"] for run in client.get("/api/runs").json["runs"]}
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
def test_no_run_is_too_broken_to_be_listed(client, runs, file, kind):
    make_run(runs, "sound")
    path = make_run(runs, "run") / file
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    for spoilt in {"spoilt": SPOILT, "cut": [content[:-9], content[: len(content) // 2]]}.get(kind, [None]):
        if spoilt is not None:
            path.write_bytes(spoilt)
        listed = {run["name"]: run for run in strict(client.get("/api/runs"))["runs"]}
        assert listed["sound"]["state"] == "finished"
        if file in ("config.json", "status.json") and (kind, file) != ("gone", "status.json"):
            assert listed["run"]["state"] == "broken"
            assert file in listed["run"]["words"]
            assert str(runs) not in listed["run"]["words"]
        assert strict(client.get("/api/runs/run"))["name"] == "run"
        for address in ("digits", "epochs/1"):
            answer = client.get(f"/api/runs/run/{address}")
            assert answer.status_code in (200, 404)
            assert "sound" in answer.json.get("detail", "sound") or "spoilt" in answer.json["detail"]


def test_an_empty_folder_is_shown_as_broken(client, runs):
    (runs / "empty").mkdir()
    (run,) = client.get("/api/runs").json["runs"]
    assert (run["state"], run["words"][:11]) == ("broken", "config.json")


NAMES = ["..", ".", "%2e%2e", "..%2f..", "..%5c..", "%00", "runs", "%2fetc", "nowhere", "run%0a", "%c3%28", "9" * 5000]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_the_folder_is_ever_read(client, runs, name):
    make_run(runs, "run", epochs=1)
    make_run(runs.parent, "outside", epochs=1)
    for address in ("", "/digits", "/epochs/1"):
        assert client.get(f"/api/runs/{name}{address}").status_code in (404, 308)
    for outside in ("../outside", "%2e%2e/outside", "..%2foutside"):
        assert client.get(f"/api/runs/{outside}").status_code == 404
        assert client.post(f"/api/runs/{outside}/resume").status_code == 404
    for epoch in ("2", "01", "-1", "x", "9" * 5000, "..%2f..%2frun%2fcheckpoint"):
        assert client.get(f"/api/runs/run/epochs/{epoch}").status_code == 404


def test_a_name_may_have_spaces(client, runs):
    make_run(runs, "too large a step, ü", epochs=1)
    assert client.get("/api/runs/too large a step, ü").json["name"] == "too large a step, ü"
    missing = client.get("/api/runs/other")
    assert (missing.status_code, missing.mimetype) == (404, "application/problem+json")
    assert missing.json["detail"].startswith("there is no such run")


# Who may start trainings, and which


@pytest.fixture
def orders(client, monkeypatch):
    """What the trainer is told to do, which it does not."""
    trainer, told = client.application.extensions["trainer"], []
    monkeypatch.setattr(trainer, "start", lambda options: told.append(options) or "begun")
    monkeypatch.setattr(trainer, "stop", lambda: told.append("stop") or "stopping")
    monkeypatch.setattr(trainer, "go_on", lambda name: told.append(name) or name)
    return told


def test_a_training_is_started_stopped_and_gone_on_with(client, runs, orders):
    settings = {"learning_rate": 1, "epochs": 2, "seed": 7, "optimizer": "sgd", "limit": 1000}
    answer = client.post("/api/training", json=settings)
    assert (answer.status_code, answer.json) == (202, {"name": "begun"})
    (options,) = orders
    assert (options.model, options.augment) == ("compact", "none")
    assert {name: getattr(options, name) for name in settings} == settings
    assert isinstance(options.learning_rate, float)
    assert client.post("/api/training/stop").status_code == 202
    make_run(runs, "run", done=1)
    assert client.post("/api/runs/run/resume").json == {"name": "run"}
    assert orders[1:] == ["stop", "run"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        *(({"learning_rate": rate}, "learning_rate must be") for rate in (0, -1, "1", None, True, 1e9, [1])),
        *(({"epochs": epochs}, "epochs must be") for epochs in (0, 51, 1.5, "2", None, True)),
        *(({"seed": seed}, "seed must be") for seed in (-1, 2**32, 0.5)),
        *(({"optimizer": name}, "optimizer must be one of sgd") for name in ("rmsprop", 3, ["sgd"])),
        *(({"limit": limit}, "limit must be") for limit in (19, 60_001, "20", False)),
        ({"output": "/etc/passwd"}, "is no setting"),
        ([1], "expected an object"),
    ],
)
def test_only_sensible_settings_are_taken(client, orders, body, words):
    answer = client.post("/api/training", json=body)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert words in answer.json["detail"]
    assert not orders


@pytest.mark.parametrize("body", ["", "{", "\xff", "[" * 100_000, '{"learning_rate": NaN}', "1" * 6000])
def test_a_body_that_is_no_settings_is_refused(client, orders, body):
    assert client.post("/api/training", data=body, content_type="application/json").status_code in (400, 422)
    assert client.post("/api/training", data=body, content_type="text/plain").status_code == 415
    assert not orders


ADDRESSES = ["/api/training", "/api/training/stop", "/api/runs/run/resume"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Host": "elsewhere.example", "Origin": "http://elsewhere.example", "Sec-Fetch-Site": "same-origin"},
        {"Host": "127.0.0.1.elsewhere.example"},
        {"Host": "[::1"},
        {"Host": ""},
    ],
)
def test_a_page_of_another_site_starts_nothing(client, runs, orders, address, headers):
    make_run(runs, "run", done=1)
    answer = client.post(address, json={}, headers=headers)
    assert (answer.status_code, answer.mimetype) in (
        (403, "application/problem+json"),
        (400, "application/problem+json"),
    )
    assert not orders


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "192.168.0.7:8000"])
def test_its_own_page_may(client, orders, host):
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/training", json={}, headers=headers).status_code == 202
    assert len(orders) == 1


@pytest.mark.parametrize("address", ADDRESSES)
def test_unless_told_otherwise_nothing_is_started(weights, runs, address):
    make_run(runs, "run", done=1)
    client = create_app(weights, runs=runs).test_client()
    answer = client.post(address, json={})
    assert answer.status_code == 403
    assert "--allow-training" in answer.json["detail"]
    assert client.get("/api/runs").json["training"]["refused"] == answer.json["detail"]


@pytest.mark.parametrize("state", ["training", "finished", "failed"])
def test_only_a_run_that_was_stopped_goes_on(client, runs, orders, state):
    set_status(make_run(runs, "run", done=1), state)
    answer = client.post("/api/runs/run/resume")
    assert (answer.status_code, orders) == (409, [])
    assert answer.json["detail"] == f"only a run that was stopped can go on, and this one is {state}"


def test_one_training_at_a_time(client, monkeypatch):
    def busy(_):
        raise BusyError("other is being trained: stop it, or wait until it is finished")

    monkeypatch.setattr(client.application.extensions["trainer"], "start", busy)
    answer = client.post("/api/training", json={})
    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
    assert answer.json["detail"].startswith("other is being trained")
    assert client.post("/api/training/stop").status_code == 409


def test_without_a_place_for_runs_the_answer_says_so(weights, tmp_path):
    (tmp_path / "runs").write_text("a file")
    answer = create_app(weights, runs=tmp_path / "runs", trainings=True).test_client().post("/api/training", json={})
    assert answer.status_code == 503
    assert "no folder for the run can be made" in answer.json["detail"]


def test_which_addresses_are_this_machine_only():
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.7", "example.com", ""]))
