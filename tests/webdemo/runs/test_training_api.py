"""The page on trainings: which runs may be seen, and who may start which. Nothing is trained here."""

import pytest

from nncore.training.recorder import set_status
from tests.webdemo.made_runs import make_run
from webdemo.app import create_app
from webdemo.runs.trainer import BusyError
from webdemo.runs.training_api import is_loopback

# The page, and which runs it may ask for


def test_the_page_is_served_and_needs_nothing_inline(training_client):
    page = training_client.get("/training")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "<style" not in page.text
    assert " style=" not in page.text


NAMES = ["..", ".", "%2e%2e", "..%2f..", "..%5c..", "%00", "runs", "%2fetc", "nowhere", "run%0a", "%c3%28", "9" * 5000]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_the_folder_is_ever_read(training_client, runs, name):
    make_run(runs, "run", epochs=1)
    make_run(runs.parent, "outside", epochs=1)
    for address in ("", "/digits", "/epochs/1"):
        assert training_client.get(f"/api/runs/{name}{address}").status_code in (404, 308)
    for outside in ("../outside", "%2e%2e/outside", "..%2foutside"):
        assert training_client.get(f"/api/runs/{outside}").status_code == 404
        assert training_client.post(f"/api/runs/{outside}/resume").status_code == 404
    for epoch in ("2", "01", "-1", "x", "9" * 5000, "..%2f..%2frun%2fcheckpoint"):
        assert training_client.get(f"/api/runs/run/epochs/{epoch}").status_code == 404


def test_a_name_may_have_spaces(training_client, runs):
    make_run(runs, "too large a step, ü", epochs=1)
    assert training_client.get("/api/runs/too large a step, ü").json["name"] == "too large a step, ü"
    missing = training_client.get("/api/runs/other")
    assert (missing.status_code, missing.mimetype) == (404, "application/problem+json")
    assert missing.json["detail"].startswith("there is no such run")


# Who may start trainings, and which


@pytest.fixture
def orders(training_client, monkeypatch):
    """What the trainer is told to do, which it does not."""
    trainer, told = training_client.application.extensions["trainer"], []
    monkeypatch.setattr(trainer, "start", lambda options: told.append(options) or "begun")
    monkeypatch.setattr(trainer, "stop", lambda: told.append("stop") or "stopping")
    monkeypatch.setattr(trainer, "go_on", lambda name: told.append(name) or name)
    return told


def test_a_training_is_started_stopped_and_gone_on_with(training_client, runs, orders):
    settings = {"learning_rate": 1, "epochs": 2, "seed": 7, "optimizer": "sgd", "limit": 1000}
    answer = training_client.post("/api/training", json=settings)
    assert (answer.status_code, answer.json) == (202, {"name": "begun"})
    (options,) = orders
    assert (options.model, options.augment) == ("compact", "none")
    assert {name: getattr(options, name) for name in settings} == settings
    assert isinstance(options.learning_rate, float)
    assert training_client.post("/api/training/stop").status_code == 202
    make_run(runs, "run", done=1)
    assert training_client.post("/api/runs/run/resume").json == {"name": "run"}
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
def test_only_sensible_settings_are_taken(training_client, orders, body, words):
    answer = training_client.post("/api/training", json=body)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert words in answer.json["detail"]
    assert not orders


@pytest.mark.parametrize("body", ["", "{", "\xff", "[" * 100_000, '{"learning_rate": NaN}', "1" * 6000])
def test_a_body_that_is_no_settings_is_refused(training_client, orders, body):
    assert training_client.post("/api/training", data=body, content_type="application/json").status_code in (400, 422)
    assert training_client.post("/api/training", data=body, content_type="text/plain").status_code == 415
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
        {"Origin": "http://["},
        {"Origin": "http://[x]:99999"},
        {"Host": "elsewhere.example", "Origin": "http://elsewhere.example", "Sec-Fetch-Site": "same-origin"},
        {"Host": "127.0.0.1.elsewhere.example"},
        {"Host": "[::1"},
        {"Host": ""},
    ],
)
def test_a_page_of_another_site_starts_nothing(training_client, runs, orders, address, headers):
    make_run(runs, "run", done=1)
    answer = training_client.post(address, json={}, headers=headers)
    assert (answer.status_code, answer.mimetype) in (
        (403, "application/problem+json"),
        (400, "application/problem+json"),
    )
    assert not orders


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "192.168.0.7:8000"])
def test_its_own_page_may(training_client, orders, host):
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert training_client.post("/api/training", json={}, headers=headers).status_code == 202
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
def test_only_a_run_that_was_stopped_goes_on(training_client, runs, orders, state):
    set_status(make_run(runs, "run", done=1), state)
    answer = training_client.post("/api/runs/run/resume")
    assert (answer.status_code, orders) == (409, [])
    assert answer.json["detail"] == f"only a run that was stopped can go on, and this one is {state}"


def test_one_training_at_a_time(training_client, monkeypatch):
    def busy(_):
        raise BusyError("other is being trained: stop it, or wait until it is finished")

    monkeypatch.setattr(training_client.application.extensions["trainer"], "start", busy)
    answer = training_client.post("/api/training", json={})
    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
    assert answer.json["detail"].startswith("other is being trained")
    assert training_client.post("/api/training/stop").status_code == 409


def test_without_a_place_for_runs_the_answer_says_so(weights, tmp_path):
    (tmp_path / "runs").write_text("a file")
    answer = create_app(weights, runs=tmp_path / "runs", trainings=True).test_client().post("/api/training", json={})
    assert answer.status_code == 503
    assert "no folder for the run can be made" in answer.json["detail"]


def test_which_addresses_are_this_machine_only():
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.7", "example.com", ""]))
