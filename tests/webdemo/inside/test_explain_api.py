"""POST /api/explain through Flask's test client: its numbers are the engine's."""

import base64
import time

import numpy as np
import pytest

from nncore.data.mnist import MNIST
from nncore.errors import DataError
from nncore.reading.reader import DigitReader
from tests.webdemo.inside.test_explain import drawn
from tests.webdemo.pictures import SEVEN, data_url, drawing, encoded
from webdemo.app import create_app
from webdemo.inside import nearest
from webdemo.inside.cells import backward_cell, forward_cell
from webdemo.inside.explain import Explanation, occlusion
from webdemo.server.encoding import packed, packed_map

URL = data_url(encoded(drawing(SEVEN)))


@pytest.fixture(scope="module")
def network(weights):
    return DigitReader(weights).network


def ask(client, **body):
    answer = client.post("/api/explain", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json


def unpacked(entry):
    """The numbers of a map, and how far off each may be."""
    steps = np.frombuffer(base64.b64decode(entry["data"]), np.int8).reshape(entry["shape"])
    return steps * (entry["largest"] / 127), entry["largest"] / 253


def test_the_maps_and_gradients_are_the_engines(client, network, rng):
    image = drawn(rng)
    answer = ask(client, pixels=packed(image), label=4)
    explanation = Explanation(network, image)
    explanation.trace_back(4)
    np.testing.assert_allclose(answer["probabilities"], explanation.probabilities, atol=1e-6)
    np.testing.assert_allclose(answer["logits"], explanation.outputs[-1][0], atol=1e-5)
    assert (answer["label"], answer["loss"]) == (4, pytest.approx(explanation.loss, rel=1e-4))
    for name, arrays in (("maps", explanation.outputs), ("gradients", explanation.gradients)):
        assert len(answer[name]) == len(network.layers) + 1
        for entry, array in zip(answer[name], arrays, strict=True):
            values, error = unpacked(entry)
            np.testing.assert_allclose(values, array[0], atol=error)
            assert entry["norm"] == pytest.approx(np.linalg.norm(array), rel=1e-4)
    shapes = [tuple(layer["output_shape"]) for layer in answer["layers"]]
    assert shapes == network.shapes[1:]
    assert sum(layer["parameters"] for layer in answer["layers"]) == network.count_parameters()
    assert answer["pixels"] == packed(image)


def test_a_picture_becomes_the_digit_that_is_read(client, weights, tmp_path):
    (tmp_path / "seven.png").write_bytes(encoded(drawing(SEVEN)))
    (reading,) = DigitReader(weights).read(tmp_path / "seven.png")
    answer = ask(client, image=URL, parts=[])
    assert base64.b64decode(answer["pixels"]) == reading.image.tobytes()
    assert answer["found"] == 1
    assert answer.keys() == {"found", "pixels", "logits", "probabilities", "layers", "model", "milliseconds"}


def test_the_step_is_the_engines(client, network, rng):
    image = drawn(rng)
    for label, rate in ((2, 0.01), (None, 0.5)):
        answer = ask(client, pixels=packed(image), label=label, learning_rate=rate, parts=["step"])
        explanation = Explanation(network, image)
        explanation.trace_back(answer["label"])
        assert answer["label"] == (2 if label else explanation.probabilities.argmax())
        np.testing.assert_allclose(answer["step"]["after"], explanation.step(rate), atol=1e-6)
        again = ask(client, pixels=packed(image), parts=[])
        assert again["probabilities"] == answer["probabilities"]  # the network itself has not learned


def test_cells_are_the_engines(client, network, rng):
    image = drawn(rng)
    explanation = Explanation(network, image)
    explanation.trace_back(1)
    for number, name in enumerate(network.names):
        for backward, tell, shape in (
            (False, forward_cell, network.shapes[number + 1]),
            (True, backward_cell, network.shapes[number]),
        ):
            at = [int(rng.integers(length)) for length in shape]
            asked = {"layer": name, "at": at, "backward": backward}
            cell = ask(client, pixels=packed(image), label=1, parts=[], cell=asked)["cell"]
            expected = tell(explanation, number, tuple(at))
            assert {key: cell[key] for key in asked} == asked
            assert (cell["rule"], cell["bias"]) == (expected.rule, expected.bias)
            assert cell["value"] == pytest.approx(expected.value, rel=1e-4, abs=1e-6)
            np.testing.assert_allclose(cell["inputs"], expected.inputs, rtol=1e-4, atol=1e-6)
            if expected.weights is not None:
                np.testing.assert_array_equal(np.float32(cell["weights"]), expected.weights)
                assert cell["sum"] + cell["bias"] == pytest.approx(cell["value"], rel=1e-4, abs=1e-5)


def test_the_occlusion_map_is_the_engines(client, network, rng):
    image = drawn(rng)
    answer = ask(client, pixels=packed(image), label=3, parts=["occlusion"])["occlusion"]
    expected = occlusion(network, image, 3)
    np.testing.assert_allclose(answer["probabilities"], expected.probabilities, atol=1e-6)
    assert (answer["label"], answer["unhidden"]) == (3, pytest.approx(expected.unhidden, abs=1e-6))


def test_the_code_is_that_of_the_layers(client, network):
    code = ask(client, image=URL, parts=["code"])["code"]
    assert code.keys() == {type(layer).__name__ for layer in network.layers}
    assert "winners == place" in code["MaxPool2D"]["backward"][0]["text"]
    assert [source["file"] for source in code["Dense"]["forward"]] == ["nncore/layers/dense.py"]


@pytest.fixture
def digits(rng, monkeypatch):
    """MNIST at hand: 40 digits, of which one will be asked about."""
    images = np.stack([drawn(rng) for _ in range(40)])
    labels = np.arange(40, dtype=np.uint8) % 10
    monkeypatch.setattr(nearest, "load_mnist", lambda _: MNIST(images, labels, images, labels, "a test's"))
    return images


def until_ready(client, image):
    for _ in range(200):
        answer = ask(client, pixels=packed(image), parts=["nearest"])["nearest"]
        if answer["status"] != "preparing":
            return answer
        time.sleep(0.05)
    raise AssertionError("the training digits were not compared in ten seconds")


def test_the_nearest_digits(weights, digits):
    answer = until_ready(create_app(weights).test_client(), digits[23])
    assert answer["status"] == "ready"
    first, *others = answer["digits"]
    assert (first["label"], first["pixels"]) == (3, packed(digits[23]))
    assert first["distance"] < 0.01 * others[0]["distance"]
    distances = [each["distance"] for each in others]
    assert distances == sorted(distances)


def test_without_training_digits(weights, monkeypatch, rng):
    def missing(_):
        raise DataError("there are none")

    monkeypatch.setattr(nearest, "load_mnist", missing)
    answer = until_ready(create_app(weights).test_client(), drawn(rng))
    assert (answer["status"], answer["digits"]) == ("missing", [])
    assert "NNCORE_DATA" in answer["detail"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "either a picture"),
        ({"image": URL, "pixels": ""}, 422, "either a picture"),
        ({"image": "seven"}, 422, "base64 data URL"),
        ({"pixels": "????"}, 422, "base64"),
        ({"pixels": "ü" * 1048}, 422, "base64"),
        ({"pixels": packed(np.zeros((28, 27), np.uint8))}, 422, "784"),
        ({"image": data_url(encoded(drawing()))}, 422, "no digit was found"),
        ({"image": data_url(b"text")}, 415, ""),
        ({"image": URL, "label": 10}, 422, "from 0 to 9"),
        ({"image": URL, "label": 99, "parts": ["occlusion"]}, 422, "from 0 to 9"),
        ({"image": URL, "label": True}, 422, "whole number"),
        ({"image": URL, "label": 2.5}, 422, "whole number"),
        ({"image": URL, "learning_rate": 0}, 422, "learning_rate"),
        ({"image": URL, "learning_rate": float("nan")}, 422, "learning_rate"),
        ({"image": URL, "learning_rate": "fast"}, 422, "learning_rate"),
        ({"image": URL, "parts": "maps"}, 422, "occlusion"),
        ({"image": URL, "parts": [{}]}, 422, "occlusion"),
        ({"image": URL, "cell": 3}, 422, "cell"),
        ({"image": URL, "cell": {"layer": "conv2d_9", "at": [0, 0, 0]}}, 422, "conv2d_1"),
        ({"image": URL, "cell": {"layer": [], "at": [0, 0, 0]}}, 422, "conv2d_1"),
        ({"image": URL, "cell": {"layer": "conv2d_1", "at": [0, 0]}}, 422, "(26, 26, 16)"),
        ({"image": URL, "cell": {"layer": "conv2d_1", "at": [0, 26, 0]}}, 422, "(26, 26, 16)"),
        ({"image": URL, "cell": {"layer": "conv2d_1", "at": [0, -1, 0]}}, 422, "(26, 26, 16)"),
        ({"image": URL, "cell": {"layer": "conv2d_1", "at": [0, 0, 1], "backward": True}}, 422, "(28, 28, 1)"),
        ({"image": URL, "learn_rate": 0.1}, 422, "learning_rate"),
        ([], 422, "no object"),
    ],
)
def test_what_makes_no_sense_is_named(client, body, status, words):
    answer = client.post("/api/explain", json=body)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert words in answer.json["detail"]


LONG = ["x" * 10**6, ["maps"] * 10**5 + ["x"], 10**4000, [[[["x"] * 99] * 99] * 9]]


@pytest.mark.parametrize("value", LONG, ids=["text", "list", "number", "nested"])
@pytest.mark.parametrize("field", ["label", "learning_rate", "parts", "cell", "at", "layer"])
def test_what_is_told_of_it_is_a_sentence(client, field, value):
    wrong = (
        {"cell": {"layer": "conv2d_1", "at": [0, 0, 0], field: value}} if field in ("at", "layer") else {field: value}
    )
    answer = client.post("/api/explain", json={"image": URL, **wrong})
    assert answer.status_code == 422
    assert len(answer.json["detail"]) < 500


@pytest.mark.parametrize("largest", [1e-45, 1e-40, 1e-30, 1.0, 3e38])
def test_maps_may_have_any_numbers(largest):
    values = np.array([[largest, 0], [-largest, largest / 2]], np.float32)
    entry = packed_map(values)
    steps = np.frombuffer(base64.b64decode(entry["data"]), np.int8)
    np.testing.assert_allclose(steps, values.ravel() / np.float64(values[0, 0]) * 127, atol=0.5)
    assert entry["largest"] == values[0, 0]
    assert entry["norm"] == pytest.approx(np.linalg.norm(values.astype(np.float64)))


def test_what_is_no_json_is_refused(client):
    assert client.post("/api/explain", data=b"{", content_type="application/json").status_code == 400
    assert client.post("/api/explain", data={"image": URL}).status_code == 415
