"""The page on which a network is watched while it learns, its addresses for programs, and who may start a training."""

import ipaddress
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import flask
from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    ServiceUnavailable,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from nncore.errors import NNCoreError, WeightsError
from nncore.optimizers import OPTIMIZERS
from nncore.training.options import parse
from nncore.training.recorder import snapshots
from webdemo.runs import folders
from webdemo.runs.trainer import BusyError, Trainer

RUNS = Path(__file__).parents[2] / "runs"
MAX_EPOCHS = 50
REFUSED = (
    "trainings are started from this page only where the server listens on its own machine: "
    "start the server there, or with --allow-training"
)


def _whole(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


# What may be chosen of a quick training: whether a value is allowed, and in words which are
CHOICES: dict[str, tuple[Callable[[object], bool], str]] = {
    "learning_rate": (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1e6,
        "a number above 0, at most 1,000,000",
    ),
    "epochs": (_whole(1, MAX_EPOCHS), f"a whole number from 1 to {MAX_EPOCHS}"),
    "seed": (_whole(0, 2**32 - 1), f"a whole number from 0 to {2**32 - 1}"),
    "optimizer": (lambda value: isinstance(value, str) and value in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
    "limit": (lambda value: value is None or _whole(20, 60_000)(value), "a whole number from 20 to 60000, or null"),
}


def create_training(trainer: Trainer, allowed: bool) -> Blueprint:
    """The page /training and its addresses, over the runs of a trainer; `allowed`: whether it may be used at all."""
    training = Blueprint("training", __name__)
    quick = parse(["--quick"])[0]

    def folder(name: str) -> Path:
        """The folder of a run that exists: whatever else a name may say, nothing outside `runs` is ever touched."""
        if name not in folders.names(trainer.runs):
            raise NotFound("there is no such run: /api/runs lists them")
        return trainer.runs / name

    def check() -> None:
        if not allowed:
            raise Forbidden(REFUSED)
        check_same_origin(request)

    @training.get("/training")
    def page() -> str:
        return render_template("training.html", quick=quick, optimizers=list(OPTIMIZERS), most_epochs=MAX_EPOCHS)

    @training.get("/api/runs")
    def runs() -> ResponseReturnValue:
        running = trainer.running  # first: it notes how a training has ended
        names = folders.names(trainer.runs)
        return jsonify(
            runs=[folders.summary(trainer.runs / name) for name in names[: folders.MAX_RUNS]],
            more=max(0, len(names) - folders.MAX_RUNS),
            training={"running": running, "stopping": trainer.stopping, "refused": None if allowed else REFUSED},
        )

    @training.get("/api/runs/<name>")
    def run(name: str) -> ResponseReturnValue:
        return jsonify(folders.details(folder(name)))

    @training.get("/api/runs/<name>/digits")
    def digits(name: str) -> ResponseReturnValue:
        try:
            return jsonify(digits=folders.digits(folder(name)))
        except WeightsError:
            raise NotFound("this run has no digits that were watched, or their file is spoilt") from None

    @training.get("/api/runs/<name>/epochs/<epoch>")
    def snapshot(name: str, epoch: str) -> ResponseReturnValue:
        path = folder(name)
        numbers = {str(number): number for number in snapshots(path)}
        try:
            return jsonify(folders.epoch(path, numbers[epoch]))
        except (KeyError, WeightsError):
            raise NotFound("this run has no snapshot of that epoch, or its file is spoilt") from None

    @training.post("/api/training")
    def start() -> ResponseReturnValue:
        check()
        options = replace(quick, **_chosen(request))
        return _answer(lambda: trainer.start(options))

    @training.post("/api/training/stop")
    def stop() -> ResponseReturnValue:
        check()
        return _answer(trainer.stop)

    @training.post("/api/runs/<name>/resume")
    def resume(name: str) -> ResponseReturnValue:
        check()
        state = folders.summary(folder(name))["state"]
        if state not in folders.RESUMABLE:
            raise Conflict(f"only a run that was stopped can go on, and this one is {state}")
        return _answer(lambda: trainer.go_on(name))

    return training


def _answer(command: Callable[[], str]) -> ResponseReturnValue:
    try:
        return jsonify(name=command()), 202
    except BusyError as error:
        raise Conflict(str(error)) from None
    except (NNCoreError, OSError) as error:
        raise ServiceUnavailable(f"the training cannot be started: {error}") from None


def _chosen(request: flask.Request) -> dict[str, Any]:
    """The settings that a request brings, checked one by one."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType('the body is not JSON: expected for instance {"learning_rate": 0.004}')
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError):
        raise BadRequest("the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise UnprocessableEntity('expected an object, for instance {"learning_rate": 0.004}')
    for name, value in body.items():
        if name not in CHOICES:
            raise UnprocessableEntity(f"{name[:40]!r} is no setting: choose {', '.join(CHOICES)}")
        is_allowed, words = CHOICES[name]
        if not is_allowed(value):
            raise UnprocessableEntity(f"{name} must be {words}")
    return {name: float(value) if name == "learning_rate" else value for name, value in body.items()}


def check_same_origin(request: flask.Request) -> None:
    """Refuse (403) what the page of another site asks for.

    Browsers say where a request comes from, and a page cannot make them lie. What says nothing is no browser. The name
    by which the server was called must be its own, because another site's name may be made to lead here.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    foreign = site not in (None, "same-origin") or (origin is not None and _host_in(origin) != request.host)
    if foreign or not _is_own(request.host):
        raise Forbidden("only this server's own page may do that")


def _host_in(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # of a bracket that is never closed
        return None


def _is_own(host: str) -> bool:
    """Whether that is an address, or the name of this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    here = socket.gethostname().lower()
    if name in ("localhost", here, f"{here}.local"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine itself can reach a server that listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
