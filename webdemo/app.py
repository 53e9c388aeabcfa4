"""The Flask application: the page, the API beside it, and what every answer has in common."""

from pathlib import Path

from flask import Flask, Response, render_template
from flask_bootstrap import Bootstrap5
from werkzeug.exceptions import HTTPException, PreconditionFailed

from nncore.machine import available_threads
from nncore.reading.reader import DigitReader
from webdemo.runs.trainer import Trainer
from webdemo.runs.training_api import RUNS, create_training
from webdemo.server.api import create_api
from webdemo.server.problems import refusal
from webdemo.server.service import ReadingService
from webdemo.server.uploads import MAX_REQUEST, Request

WEIGHTS = Path(__file__).parent.parent / "weights" / "recogniser.npz"
HEADERS = {
    # Scripts and styles come from this server alone, as files. "data:" are Bootstrap's icons and what the network saw,
    # "blob:" a picture that the visitor has chosen.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create_app(
    weights: str | Path = WEIGHTS, threads: int | None = None, runs: str | Path = RUNS, trainings: bool = False
) -> Flask:
    """An application that reads digits with the network of a weights file, loaded here, once.

    Args:
        weights: the file.
        threads: how many pictures are read at the same time; as many as there are cores if None.
        runs: the folder of the training runs that /training shows.
        trainings: whether visitors may start trainings; then `app.extensions["trainer"].close()` belongs at the end.

    Raises WeightsError, naming the file, if it cannot be used.
    """
    app = Flask(__name__)
    app.request_class = Request
    app.config.update(MAX_CONTENT_LENGTH=MAX_REQUEST, BOOTSTRAP_SERVE_LOCAL=True)
    Bootstrap5(app)
    service = ReadingService(DigitReader(weights), threads or available_threads())
    app.extensions["reading"] = service
    app.register_blueprint(create_api(service))
    trainer = Trainer(Path(runs).resolve())
    app.extensions["trainer"] = trainer
    app.register_blueprint(create_training(trainer, trainings))

    @app.get("/")
    def page() -> str:
        return render_template("index.html")

    @app.get("/inside")
    def inside() -> str:
        return render_template("inside.html")

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        return refusal(error)

    @app.after_request
    def protect(response: Response) -> Response:
        if response.status_code == 412:  # Flask's answer to a condition on a file, without a word
            response.close()
            response = refusal(PreconditionFailed())
        response.headers.update(HEADERS)
        return response

    return app
