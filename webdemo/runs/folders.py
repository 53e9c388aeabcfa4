"""The folders of training runs as JSON. They may be half written, spoilt or not ours: nothing here trusts them."""

import math
import time
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from nncore.errors import NNCoreError
from nncore.training.options import Options
from nncore.training.recorder import LIVE, read_digits, read_history, read_live, read_snapshot, read_status, snapshots
from nncore.training.run import COLUMNS, Run
from webdemo.server.encoding import png_url

MAX_RUNS = 100  # that are listed, the newest first
MAX_POINTS = 1500  # of a live curve
SILENCE = 120.0  # seconds without a sign of life, after which a training is taken for dead
SIGNS = ("config.json", "status.json", "live.csv", "history.csv")
PRIVATE = {"data_dir"}  # paths of this machine
SETTINGS = [field.name for field in fields(Options) if field.name not in PRIVATE]
RESUMABLE = {"stopped", "silent"}


def names(runs: Path) -> list[str]:
    """The runs there are, the newest first. Whoever asks for another, or for `..`, asks in vain."""
    try:
        folders = [path for path in runs.iterdir() if path.is_dir() and _is_name(path.name)]
    except OSError:
        return []
    return [path.name for path in sorted(folders, key=_begun, reverse=True)]


def _is_name(name: str) -> bool:
    return name.isprintable() and not name.startswith(".")


def _begun(folder: Path) -> tuple[float, str]:
    """When the run began, as nearly as files tell."""
    return _changed(folder / "config.json") or _changed(folder), folder.name


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def summary(folder: Path) -> dict[str, Any]:
    """What a list of runs says of one."""
    signs = [_changed(folder / name) for name in SIGNS]
    history = read_history(folder)
    state, words, settings = "broken", "", {}
    try:
        settings = _settings(folder)
        state, words = _state(folder, time.time() - max(signs), len(history), settings["epochs"])
    except NNCoreError as error:
        words = str(error)
    return {
        "name": folder.name,
        "state": state,
        "words": words,
        "resumable": state in RESUMABLE,
        "settings": settings,
        "epoch": int(history[-1]["epoch"]) if history else 0,
        "validation_accuracy": _number(history[-1]["validation_accuracy"]) if history else None,
        "began": _begun(folder)[0],
        "changed": "-".join(f"{sign:.6f}" for sign in signs),
    }


def _settings(folder: Path) -> dict[str, Any]:
    try:
        saved = Run(folder).settings()
    except NNCoreError:
        raise NNCoreError("config.json, with the settings of the run, is missing or spoilt") from None
    settings = {name: saved[name] for name in SETTINGS if name in saved}
    epochs = settings.get("epochs")
    if not all(value is None or isinstance(value, str | int | float) for value in settings.values()):
        raise NNCoreError("config.json does not hold the settings of a run")
    if not isinstance(epochs, int) or epochs < 1:
        raise NNCoreError("config.json does not say how many epochs there are to be")
    if isinstance(settings.get("dataset"), str):
        settings["dataset"] = settings["dataset"].partition("+")[0]  # what follows is a path of this machine
    return {name: _number(value) if isinstance(value, float) else value for name, value in settings.items()}


def _state(folder: Path, silence: float, done: int, epochs: int) -> tuple[str, str]:
    status = read_status(folder)
    if status is None:  # begun a moment ago, or before runs wrote one
        status = ("finished" if done >= epochs else "stopped" if silence > SILENCE else "training"), ""
    if status[0] == "training" and silence > SILENCE:
        return "silent", "It has given no sign of life for some time: perhaps its process was killed."
    if status[0] == "finished" and not done:
        return "finished", "history.csv, with what was measured, is missing or spoilt."
    return status


def details(folder: Path) -> dict[str, Any]:
    """A run with its curves, and the epochs of which there are snapshots."""
    live, history = read_live(folder), read_history(folder)
    step = max(1, math.ceil(len(live) / MAX_POINTS))
    thinned = live[::-1][::step][::-1]  # with the last
    return {
        **summary(folder),
        "history": _columns(history, COLUMNS),
        "live": _columns(thinned, LIVE),
        "snapshots": snapshots(folder),
    }


def epoch(folder: Path, number: int) -> dict[str, Any]:
    """A snapshot. WeightsError where there is none that can be read."""
    snapshot = read_snapshot(folder, number)
    filters = snapshot.filters
    return {
        "epoch": number,
        "probabilities": _rounded(snapshot.probabilities),
        "confusion": None if snapshot.confusion is None else snapshot.confusion.astype(int).tolist(),
        "filters": None if filters is None else _rounded(filters.mean(axis=2).transpose(2, 0, 1)),
    }


def digits(folder: Path) -> list[dict[str, Any]]:
    """The digits watched. WeightsError where they cannot be read."""
    images, labels = read_digits(folder)
    return [{"label": int(label), "picture": png_url(image)} for image, label in zip(images, labels, strict=True)]


def _columns(rows: list[dict[str, float]], columns: Iterable[str]) -> dict[str, list[float | None]]:
    return {name: [_number(row[name]) for row in rows] for name in columns}


def _rounded(array: np.ndarray[Any, Any]) -> Any:
    """Nested lists, with None for what is not a number: JSON has no word for it."""
    rounded = np.round(array.astype(np.float64), 5).astype(object)
    rounded[~np.isfinite(array)] = None
    return rounded.tolist()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
