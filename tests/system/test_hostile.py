import http.client
import io
import json
import socket
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
from flask import Flask, request
from werkzeug.exceptions import HTTPException

from nncore.errors import DataError, PictureFormatError
from nncore.reading.ink import read_ink
from tests.system.hostile import __main__ as hostile
from tests.system.hostile.client import Answer, Client, complaints
from tests.system.hostile.crafted import BOMBS, CRAFTED, LARGE
from tests.system.hostile.damaged import DAMAGED, sound
from tests.system.hostile.foreign import FOREIGN
from tests.system.hostile.messages import KINDS, Message, message
from tests.system.hostile.trainings import FOREIGN_ORDERS, ODD_ORDERS, make_runs
from webdemo.app import create_app
from webdemo.runs import training_api as training


def ink_of(file):
    return read_ink(io.BytesIO(file))[0]


@pytest.mark.parametrize(("kind", "variant"), [(kind, variant) for kind, files in sound().items() for variant in files])
def test_what_is_damaged_was_a_picture(kind, variant):
    assert ink_of(sound()[kind][variant]).any()


@pytest.mark.parametrize("kind", [*DAMAGED, *CRAFTED])
def test_any_file_is_ink_or_refused(rng, kind):
    for _ in range(10):
        with suppress(DataError):
            ink = ink_of({**DAMAGED, **CRAFTED}[kind](rng))
            assert (ink.dtype, ink.ndim) == (np.uint8, 2)


@pytest.mark.parametrize("kind", LARGE)
def test_what_is_just_allowed_is_read(rng, kind):
    assert ink_of(LARGE[kind](rng)).ndim == 2


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused(rng, kind):
    with pytest.raises(DataError):
        ink_of(BOMBS[kind](rng))


@pytest.mark.parametrize("kind", FOREIGN)
def test_no_decoder_is_tried_on_other_files(rng, kind):
    with pytest.raises(PictureFormatError):
        ink_of(FOREIGN[kind](rng))


def test_a_request_depends_on_its_number_and_the_seed_alone():
    assert message(3, 700) == message(3, 700)
    assert len({message(seed, 700).content for seed in range(20)}) > 10


def test_first_comes_each_kind_once():
    assert [message(5, i).kind for i in range(len(KINDS))] == list(KINDS)
    later = Counter(message(5, i).kind for i in range(len(KINDS), len(KINDS) + 500))
    assert len(later) > 100


def answer(status, body=b"", **headers):
    fields = http.client.HTTPMessage()
    for name, value in headers.items():
        fields[name.replace("_", "-")] = value
    return Answer(status, fields, body)


def problem(status, **headers):
    body = json.dumps({"type": "about:blank", "title": "t", "status": status, "detail": "a sentence"}).encode()
    return answer(status, body, Content_Type="application/problem+json", **headers)


ASKED = Message("kind", b"POST / HTTP/1.1\r\n\r\n", frozenset({200, 415}), "ask")


@pytest.mark.parametrize(
    "answers", [[], [answer(200)], [problem(415)], [problem(503, Retry_After="1")], [answer(200)] * 3]
)
def test_what_is_in_order(answers):
    assert complaints(ASKED, answers) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (problem(500), "500, not one of 200, 415"),
        (problem(422), "422, not one of 200, 415"),
        (problem(503), "Retry-After"),
        (answer(415, b"<h1>no</h1>", Content_Type="text/html"), "text/html"),
        (answer(415, b"{}", Content_Type="application/problem+json"), "{}"),
        (answer(415, b"\xff", Content_Type="application/problem+json"), "xff"),
        (answer(415, problem(422).body, Content_Type="application/problem+json"), "422"),
        (answer(415, problem(415).body.replace(b"a sen", b"a" * 9999), Content_Type="application/problem+json"), "aaa"),
        (answer(200, b'{"loss": NaN}', Content_Type="application/json"), "NaN is no number"),
        (answer(200, b"{", Content_Type="application/json"), "no JSON"),
        (answer(200, X_Injected="1"), "header"),
        (answer(200, b"Traceback (most recent call last)"), "Traceback"),
        (answer(200, b"root:x:0:0:root"), "root"),
    ],
)
def test_what_is_wrong_is_told(given, words):
    assert any(words in text for text in complaints(ASKED, [answer(200), given]))


def test_an_answer_that_differs_from_the_one_got_alone_is_wrong():
    class Confused(Client):
        def send(self, message):
            return [answer(200, b'{"digits": [{"digit": 4}]}')]

    tally = hostile.Tally()
    for digit in (9, 4):
        hostile._send(Confused(0), "request 1", ASKED, {"digits": [{"digit": digit}]}, tally)
    assert tally.wrong == ["request 1, kind: another answer than it got alone"]
    assert tally.good == 2


def test_answers_are_alike_but_for_time_and_rounding():
    alone = {"digits": [{"digit": 4, "probabilities": [0.25, 0.75]}], "milliseconds": 1.5}
    same = {"digits": [{"digit": 4, "probabilities": [0.250001, 0.75]}], "milliseconds": 3.5}
    assert hostile._alike(same, alone)
    for digit, probabilities in ((5, [0.25, 0.75]), (4, [0.26, 0.74]), (4, [0.25])):
        assert not hostile._alike({**alone, "digits": [{"digit": digit, "probabilities": probabilities}]}, alone)
    assert not hostile._alike({"digits": alone["digits"]}, alone)


def test_no_order_could_be_obeyed(tmp_path, rng):
    overview = create_app(runs=make_runs(tmp_path), trainings=True).test_client().get("/api/runs").json
    assert hostile._trainings(overview) == []
    assert not overview["runs"][0]["resumable"]
    assert hostile._trainings({**overview, "training": {"running": "compact"}})
    assert hostile._trainings({**overview, "runs": overview["runs"] * 2})
    for make in {**FOREIGN_ORDERS, **ODD_ORDERS}.values():
        for _ in range(200):
            content = make(rng)
            if b" /api/training " in content:
                assert not is_allowed(content.partition(b"\r\n\r\n")[2])


def is_allowed(body):
    """Whether a training could be started so."""
    try:
        with Flask("demo").test_request_context(data=body, content_type="application/json"):
            training._chosen(request)
            return True
    except HTTPException:
        return False


def test_growth_and_logged_errors_are_wrong():
    assert hostile._growth([{"VmRSS": 100}, {"VmRSS": 300}, {"VmRSS": 310}]) == []
    assert "300 MB" in hostile._growth([{"VmRSS": 100}, {"VmRSS": 300}, {"VmRSS": 900}])[0]
    assert hostile._errors("read as 7 (99.0%, digit) in 2.1 ms\n" * 5) == []
    assert "2 errors" in hostile._errors("Exception on /api/predict\nread as 7\nValueError: no")[0]


@pytest.mark.slow
def test_the_demo_withstands_it(rng, capsys):
    assert hostile.main(["--count", "350", "--seed", str(rng.integers(2**32))]) == 0, capsys.readouterr()
    report = capsys.readouterr().out
    assert "350 hostile requests" in report
    assert "wrong: nothing" in report


@pytest.mark.parametrize("url", ["http://example.org:5000/", "https://127.0.0.1:5000/", "http://127.0.0.1/", "x"])
def test_only_this_machine_is_attacked(url, capsys):
    with pytest.raises(SystemExit):
        hostile.main(["--url", url])
    assert "only this machine" in capsys.readouterr().err


def test_where_no_one_answers_it_says_so(capsys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        unused_port = free.getsockname()[1]
    assert hostile.main(["--url", f"http://127.0.0.1:{unused_port}/"]) == 2
    assert "does not answer" in capsys.readouterr().err
