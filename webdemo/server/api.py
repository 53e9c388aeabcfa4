"""The addresses for programs: read a picture, describe the network, say how the server is."""

import json
import logging
import time
from importlib import resources
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable, UnprocessableEntity, UnsupportedMediaType

from nncore.errors import DataError, PictureFormatError
from nncore.reading.reader import Reading
from webdemo.inside.explain_api import create_explain_api
from webdemo.server.encoding import png_url
from webdemo.server.service import RETRY_AFTER, ReadingService
from webdemo.server.uploads import picture_in

log = logging.getLogger("webdemo")


def create_api(service: ReadingService) -> Blueprint:
    """The API over a service, as /api/openapi.json describes it."""
    api = Blueprint("api", __name__)
    api.register_blueprint(create_explain_api(service))
    network = service.reader.network
    document = json.loads(resources.files("webdemo").joinpath("openapi.json").read_text("utf-8"))
    description = {
        "name": service.reader.name,
        "parameters": network.count_parameters(),
        "input_shape": network.input_shape,
        "layers": [
            {"name": name, "layer": layer.describe(), "output_shape": shape}
            for name, layer, shape in zip(network.names, network.layers, network.shapes[1:], strict=True)
        ],
        "made_by": network.made_by,
    }

    @api.post("/api/predict")
    def predict() -> ResponseReturnValue:
        picture = picture_in(request)
        began = time.perf_counter()
        try:
            readings = service.read(picture)
        except PictureFormatError as error:
            raise UnsupportedMediaType(str(error)) from None
        except DataError as error:
            raise UnprocessableEntity(str(error)) from None
        digits = [_described(reading) for reading in readings]
        milliseconds = round(1000 * (time.perf_counter() - began), 2)
        log.info("%s in %.1f ms", _in_words(readings), milliseconds)
        return jsonify(digits=digits, model=service.reader.name, milliseconds=milliseconds)

    @api.get("/api/model")
    def model() -> ResponseReturnValue:
        return jsonify(description)

    @api.get("/api/openapi.json")
    def openapi() -> ResponseReturnValue:
        return jsonify(document)

    @api.get("/healthz")
    def healthz() -> ResponseReturnValue:
        return jsonify(status="alive")

    @api.get("/readyz")
    def readyz() -> ResponseReturnValue:
        if not service.ready.is_set():
            raise ServiceUnavailable("the kernels are being compiled: try again in a moment", retry_after=RETRY_AFTER)
        return jsonify(status="ready")

    return api


def _described(reading: Reading) -> dict[str, Any]:
    return {
        "digit": reading.digit,
        "probabilities": [round(float(probability), 6) for probability in reading.probabilities],
        "verdict": reading.verdict,
        "box": reading.box,
        "seen": png_url(reading.image),
    }


def _in_words(readings: list[Reading]) -> str:
    """The digits as the console shows them."""
    shares = [f"{reading.digit} ({reading.probabilities.max():.1%}, {reading.verdict})" for reading in readings]
    return f"read as {', '.join(shares)}" if shares else "nothing drawn"
