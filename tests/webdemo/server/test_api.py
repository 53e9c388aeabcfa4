"""The addresses for programs, through Flask's test client."""

import base64
import io
import json
import logging
import re
import threading

import numpy as np
import pytest
from PIL import Image

from nncore.reading.reader import DigitReader
from tests.webdemo.pictures import SEVEN, data_url, drawing, encoded
from webdemo.app import create_app
from webdemo.server.service import ReadingService

KINDS = ["PNG", "BMP", "GIF", "WEBP", "JPEG"]


@pytest.fixture(scope="module")
def reader(weights):
    return DigitReader(weights)


def post_file(client, content: bytes, name: str = "seven.png"):
    return client.post("/api/predict", data={"file": (io.BytesIO(content), name)})


def test_the_answer_is_the_engines(client, reader):
    file = encoded(drawing(SEVEN))
    answer = client.post("/api/predict", json={"image": data_url(file)})
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    (expected,) = reader.read(io.BytesIO(file))
    (digit,) = answer.json["digits"]
    assert digit.keys() == {"digit", "probabilities", "verdict", "box", "seen"}
    np.testing.assert_allclose(digit["probabilities"], expected.probabilities, atol=1e-6)
    assert (digit["digit"], digit["verdict"]) == (expected.digit, expected.verdict)
    assert digit["box"] == list(expected.box)
    seen = Image.open(io.BytesIO(base64.b64decode(digit["seen"].removeprefix("data:image/png;base64,"))))
    np.testing.assert_array_equal(np.asarray(seen), expected.image)
    assert answer.json["model"] == "tiny"
    assert answer.json["milliseconds"] > 0


def test_the_box_is_where_the_ink_is(client):
    (digit,) = client.post("/api/predict", json={"image": data_url(encoded(drawing(SEVEN)))}).json["digits"]
    left, top, width, height = digit["box"]
    np.testing.assert_allclose([left, top, left + width, top + height], [80, 60, 200, 220], atol=9)


def test_several_digits_come_in_reading_order(client):
    bars = [((x, 100), (x + dx, 180)) for x, dx in ((40, 0), (110, 20), (190, -10))]
    digits = client.post("/api/predict", json={"image": data_url(encoded(drawing(*reversed(bars))))}).json["digits"]
    assert [round(digit["box"][0], -1) for digit in digits] == [30, 100, 170]


def test_a_blank_canvas_has_no_digit(client):
    answer = client.post("/api/predict", json={"image": data_url(encoded(drawing()))})
    assert (answer.status_code, answer.json["digits"]) == (200, [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_read_whatever_it_is_called(client, reader, kind):
    file = encoded(drawing(SEVEN), kind)
    answer = post_file(client, file, "holiday.txt")
    (expected,) = reader.read(io.BytesIO(file))
    assert answer.json["digits"][0]["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)


def test_the_digit_is_logged_on_the_console(client, caplog):
    with caplog.at_level(logging.INFO, "webdemo"):
        digit = post_file(client, encoded(drawing(SEVEN))).json["digits"][0]["digit"]
        post_file(client, encoded(drawing()))
    assert f"read as {digit} (" in caplog.messages[0]
    assert "nothing drawn" in caplog.messages[1]


def test_many_threads_get_the_answers_that_one_gets(client, rng):
    files = [encoded(drawing(tuple(map(tuple, rng.integers(20, 260, (5, 2)).tolist())))) for _ in range(12)]
    alone = [post_file(client, file).json["digits"] for file in files]
    together: list[object] = [None] * len(files)

    def ask(index: int) -> None:
        together[index] = post_file(client.application.test_client(), files[index]).json["digits"]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_the_model_describes_itself(client, reader):
    answer = client.get("/api/model").json
    assert (answer["name"], answer["parameters"]) == ("tiny", reader.network.count_parameters())
    assert answer["layers"][-1]["output_shape"] == [10]
    assert answer["made_by"] == {"seed": 3}


def test_alive_and_ready(weights, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(ReadingService, "_warm_up", lambda service: release.wait(10) and service.ready.set())
    client = create_app(weights).test_client()
    assert client.get("/healthz").status_code == 200
    waiting = client.get("/readyz")
    assert (waiting.status_code, waiting.mimetype) == (503, "application/problem+json")
    assert int(waiting.headers["Retry-After"]) >= 1
    release.set()
    client.application.extensions["reading"].ready.wait(10)
    assert client.get("/readyz").status_code == 200


def test_the_openapi_document_names_every_address(client):
    document = client.get("/api/openapi.json").json
    assert json.loads(json.dumps(document)) == document
    rules = [rule.rule for rule in client.application.url_map.iter_rules()]
    addresses = {
        re.sub("<(.*?)>", r"{\1}", rule) for rule in rules if rule.startswith(("/api/", "/healthz", "/readyz"))
    }
    assert addresses == document["paths"].keys()
