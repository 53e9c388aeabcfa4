"""The page and its one address, through Flask's test client."""

import base64
import io

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image, ImageDraw

from nncore.errors import WeightsError
from nncore.layers.activations import softmax
from nncore.models import compact
from nncore.preprocess import centre_digit, ink_from_picture, network_input
from webdemo import create_app


@pytest.fixture(scope="module")
def network():
    return compact(seed=3)


@pytest.fixture(scope="module")
def client(network, tmp_path_factory) -> FlaskClient:
    weights = tmp_path_factory.mktemp("weights") / "tiny.npz"
    network.save(weights)
    return create_app(weights).test_client()


def drawing(*strokes: tuple[tuple[int, int], ...]) -> Image.Image:
    picture = Image.new("RGB", (280, 280), "white")
    for stroke in strokes:
        ImageDraw.Draw(picture).line(stroke, fill="black", width=16)
    return picture


def data_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_the_answer_is_the_engines(client, network):
    seven = drawing(((80, 60), (200, 60), (120, 220)))
    answer = client.post("/api/predict", json={"image": data_url(seven)})
    assert answer.status_code == 200
    image = centre_digit(ink_from_picture(seven))
    expected = softmax(network.predict(network_input(image[np.newaxis])))[0]
    (digit,) = answer.json["digits"]
    np.testing.assert_allclose(digit["probabilities"], expected, atol=1e-6)
    assert digit["digit"] == expected.argmax()
    assert answer.json["model"] == "tiny"


def test_a_blank_canvas_has_no_digit(client):
    answer = client.post("/api/predict", json={"image": data_url(drawing())})
    assert (answer.status_code, answer.json["digits"]) == (200, [])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "JSON"),
        ([], "JSON"),
        ({"image": 5}, "JSON"),
        ({"image": "data:text/html;base64,aGk="}, "toDataURL"),
        ({"image": "data:image/png;base64,aGk*"}, "base64"),
        ({"image": "data:image/png;base64,aGVsbG8="}, "picture"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(client, body, words):
    answer = client.post("/api/predict", json=body)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert words in answer.json["detail"]


def test_other_errors_are_problems_too(client):
    assert client.post("/api/predict", data="hello").status_code == 415
    assert client.get("/api/predict").status_code == 405
    assert client.get("/nowhere").mimetype == "application/problem+json"
    assert client.post("/api/predict", json={"image": "x" * 5_000_000}).status_code == 413


def test_the_page_is_served(client):
    page = client.get("/")
    assert page.status_code == 200
    assert 'id="pad"' in page.text


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.npz"):
        create_app(tmp_path / "none.npz")
