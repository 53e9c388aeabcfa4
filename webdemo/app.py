"""The Flask application: one page, and one address that reads a picture."""

import base64
import binascii
import io
import threading
import time
from pathlib import Path

import numpy as np
from flask import Flask, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_bootstrap import Bootstrap5
from werkzeug.exceptions import HTTPException

from nncore.errors import DataError
from nncore.layers.activations import softmax
from nncore.preprocess import network_input, read_picture
from nncore.sequential import Sequential
from nncore.types import Array, Bytes

WEIGHTS = Path("weights") / "reference.npz"
LARGEST_REQUEST = 4 * 2**20  # bytes
PNG = "data:image/png;base64,"


def create_app(weights: str | Path = WEIGHTS) -> Flask:
    """An application that reads digits with the network of a weights file, loaded here, once.

    Raises WeightsError, naming the file, if it cannot be used.
    """
    network = Sequential.load(weights)
    turn = threading.Lock()  # not every threading layer of Numba lets two threads compute at once

    def read(image: Bytes) -> Array:
        with turn:
            probabilities: Array = softmax(network.predict(network_input(image[np.newaxis])))[0]
        return probabilities

    read(np.zeros((28, 28), np.uint8))  # kernels compile now, not while the first visitor waits
    app = Flask(__name__)
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST

    @app.get("/")
    def page() -> str:
        return render_template("index.html")

    @app.post("/api/predict")
    def predict() -> ResponseReturnValue:
        began = time.perf_counter()
        try:
            image = read_picture(io.BytesIO(_png_bytes(request.get_json())))
        except DataError as error:
            return _problem(422, str(error))
        digits = []
        if image.any():
            probabilities = read(image)
            digit = int(probabilities.argmax())
            app.logger.info("read as %d (%.1f %%)", digit, 100 * probabilities[digit])
            digits = [{"digit": digit, "probabilities": [round(float(p), 6) for p in probabilities]}]
        milliseconds = round(1000 * (time.perf_counter() - began), 2)
        return jsonify(digits=digits, model=Path(weights).stem, milliseconds=milliseconds)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> ResponseReturnValue:
        return _problem(error.code or 500, error.description or error.name)

    return app


def _png_bytes(body: object) -> bytes:
    """The PNG file in {"image": "data:image/png;base64,..."}."""
    image = body.get("image") if isinstance(body, dict) else None
    if not isinstance(image, str) or not image.startswith(PNG):
        raise DataError(f'the request must be JSON {{"image": "{PNG}..."}}, as canvas.toDataURL() makes it')
    try:
        return base64.b64decode(image[len(PNG) :], validate=True)
    except binascii.Error as error:
        raise DataError(f"the picture is not valid base64: {error}") from None


def _problem(status: int, detail: str) -> Response:
    """An error as RFC 9457 has it: a status and a sentence that a person can act on."""
    response = jsonify(status=status, detail=detail)
    response.status_code = status
    response.mimetype = "application/problem+json"
    return response
