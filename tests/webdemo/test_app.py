"""The application as a whole: its page, its headers, its errors."""

import re

import pytest

from nncore.errors import WeightsError
from nncore.layers import Dense, Flatten
from nncore.network.sequential import Sequential
from webdemo.app import create_app


def test_the_page_is_served(client):
    page = client.get("/")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert 'id="pad"' in page.text


@pytest.mark.parametrize("page", ["/", "/inside", "/training"])
def test_a_page_needs_nothing_from_elsewhere_and_nothing_inline(client, page):
    html = client.get(page).text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", html)
    for address in re.findall(r'(?:src|href)="(/[^"]*)"', html):
        with client.get(address) as answer:
            assert answer.status_code == 200, address


@pytest.mark.parametrize("address", ["/", "/api/model", "/nowhere", "/api/predict"])
def test_every_answer_is_protected(client, address):
    headers = client.get(address).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_errors_are_problems(client):
    nowhere = client.get("/nowhere")
    assert (nowhere.status_code, nowhere.mimetype) == (404, "application/problem+json")
    assert nowhere.json == {**nowhere.json, "type": "about:blank", "title": "Not Found", "status": 404}
    wrong = client.get("/api/predict")
    assert (wrong.status_code, wrong.mimetype) == (405, "application/problem+json")
    assert set(wrong.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_a_mistake_of_ours_shows_no_stack(weights, monkeypatch):
    app = create_app(weights)
    monkeypatch.setattr("nncore.reading.reader.DigitReader.read", lambda *_: 1 / 0)
    monkeypatch.setattr("webdemo.server.api.picture_in", lambda _: b"")
    answer = app.test_client().post("/api/predict")
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert not re.search("division|Traceback", answer.text)


def test_missing_and_unfit_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.npz"):
        create_app(tmp_path / "none.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(WeightsError, match=r"broken\.npz"):
        create_app(tmp_path / "broken.npz")
    Sequential([Flatten(), Dense(3)], (5, 5, 1)).save(tmp_path / "three.npz")
    with pytest.raises(WeightsError, match=r"three\.npz.*28, 28, 1"):
        create_app(tmp_path / "three.npz")


def test_a_condition_on_a_file_that_does_not_hold_is_a_problem(client):
    answer = client.get("/static/style.css", headers={"If-Match": "x"})
    assert (answer.status_code, answer.mimetype) == (412, "application/problem+json")
    assert answer.json["status"] == 412
