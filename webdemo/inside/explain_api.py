"""POST /api/explain: one digit on its way through the network and back, as the page at /inside shows it."""

import io
import logging
import math
import reprlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import UnprocessableEntity, UnsupportedMediaType

from nncore.errors import DataError, OptionError, PictureFormatError
from nncore.reading.reader import DigitReader
from nncore.types import Bytes, Shape
from webdemo.inside.cells import Cell, backward_cell, forward_cell, sources
from webdemo.inside.explain import PATCH, STRIDE, Explanation, occlusion
from webdemo.inside.nearest import NearestDigits
from webdemo.server.encoding import packed, packed_map
from webdemo.server.service import ReadingService
from webdemo.server.uploads import bytes_in, from_data_url, json_in

EXPECTED = 'expected JSON {"image": "data:image/png;base64,..."} or {"pixels": "..."}: see /api/openapi.json'
PARTS = ("maps", "gradients", "step", "occlusion", "nearest", "code")
FIELDS = ("image", "pixels", "label", "learning_rate", "parts", "cell")
USUAL_PARTS = ("maps", "gradients", "step")
LEARNING_RATE, HIGHEST_RATE = 0.001, 10.0
SIDE = 28  # pixels
MAX_QUOTED = 80  # characters of a value that is refused

log = logging.getLogger("webdemo")


@dataclass(frozen=True)
class Question:
    """What /api/explain was asked, checked as far as that goes without the network."""

    picture: bytes | None  # a picture file; else
    image: Bytes | None  # the digit itself (28, 28)
    label: int | None
    learning_rate: float
    parts: frozenset[str]
    cell: dict[str, Any] | None


def create_explain_api(service: ReadingService) -> Blueprint:
    """The address, over a service that reads pictures."""
    api = Blueprint("explain", __name__)
    nearest = NearestDigits(service.reader.network)

    @api.post("/api/explain")
    def explain() -> ResponseReturnValue:
        question = question_in(json_in(request, EXPECTED))
        began = time.perf_counter()
        try:
            answer = service.compute(answer_to, question, service.reader, nearest)
        except PictureFormatError as error:
            raise UnsupportedMediaType(str(error)) from None
        except (DataError, OptionError) as error:
            raise UnprocessableEntity(str(error)) from None
        milliseconds = round(1000 * (time.perf_counter() - began), 2)
        log.info("explained (%s) in %.1f ms", ", ".join(sorted(question.parts)) or "a cell", milliseconds)
        return jsonify(**answer, model=service.reader.name, milliseconds=milliseconds)

    return api


def question_in(body: dict[str, Any]) -> Question:
    """The question that a JSON object asks; UnprocessableEntity (422), naming the field, where one makes no sense."""
    unknown = [name for name in body if name not in FIELDS]
    if unknown:
        raise UnprocessableEntity(f"{unknown[0][:40]!r} is no field of a question: there are {', '.join(FIELDS)}")
    image, pixels = body.get("image"), body.get("pixels")
    if isinstance(image, str) == isinstance(pixels, str):
        raise UnprocessableEntity(f'give either a picture, "image", or the digit itself, "pixels": {EXPECTED}')
    levels = bytes_in(pixels, '"pixels"') if isinstance(pixels, str) else b""
    if isinstance(pixels, str) and len(levels) != SIDE * SIDE:
        raise UnprocessableEntity(
            f'"pixels" must be the {SIDE * SIDE} grey levels of 28 x 28 pixels, not {len(levels)}'
        )
    label, rate, parts = body.get("label"), body.get("learning_rate", LEARNING_RATE), body.get("parts", USUAL_PARTS)
    if label is not None and type(label) is not int:
        raise UnprocessableEntity(f'"label" must be a class of the network, a whole number, not {_told(label)}')
    if type(rate) not in (int, float) or not 0 < rate <= HIGHEST_RATE:
        raise UnprocessableEntity(f'"learning_rate" must be above 0 and at most {HIGHEST_RATE:g}, not {_told(rate)}')
    if not isinstance(parts, list | tuple) or any(part not in PARTS for part in parts):
        raise UnprocessableEntity(f'"parts" must be a list of some of {", ".join(PARTS)}, not {_told(parts)}')
    cell = body.get("cell")
    if cell is not None and not isinstance(cell, dict):
        raise UnprocessableEntity(f'"cell" must be an object with "layer" and "at", not {_told(cell)}')
    return Question(
        picture=from_data_url(image) if isinstance(image, str) else None,
        image=np.frombuffer(levels, np.uint8).reshape(SIDE, SIDE) if levels else None,
        label=label,
        learning_rate=float(rate),
        parts=frozenset(parts),
        cell=cell,
    )


def _told(value: Any) -> str:
    """A value as a sentence may repeat it."""
    text = reprlib.repr(value)
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}..."


def answer_to(question: Question, reader: DigitReader, nearest: NearestDigits) -> dict[str, Any]:
    """The answer as JSON has it. DataError where the picture is none or blank, OptionError for impossible labels."""
    network, parts, image = reader.network, question.parts, question.image
    found = {}
    if image is None:
        readings = reader.read(io.BytesIO(question.picture or b""))
        if not readings:
            raise DataError("no digit was found in the picture: draw one")
        image, found = readings[0].image, {"found": len(readings)}
    explanation = Explanation(network, image)
    label = int(explanation.probabilities.argmax()) if question.label is None else question.label
    if not 0 <= label < len(explanation.probabilities):
        raise OptionError(f'"label" must be from 0 to {len(explanation.probabilities) - 1}, not {_told(label)}')
    answer: dict[str, Any] = {
        **found,
        "pixels": packed(image),
        "logits": explanation.outputs[-1][0].tolist(),
        "probabilities": explanation.probabilities.tolist(),
        "layers": [
            {
                "name": name,
                "kind": type(layer).__name__,
                "layer": layer.describe(),
                "output_shape": shape,
                "parameters": sum(array.size for array in layer.parameters.values()),
            }
            for name, layer, shape in zip(network.names, network.layers, network.shapes[1:], strict=True)
        ],
    }
    if "maps" in parts:
        answer["maps"] = [packed_map(output[0]) for output in explanation.outputs]
    if parts & {"gradients", "step"} or (question.cell or {}).get("backward"):
        explanation.trace_back(label)
        answer["label"], answer["loss"] = label, explanation.loss
    if "gradients" in parts:
        answer["gradients"] = [packed_map(gradient[0]) for gradient in explanation.gradients]
    if question.cell is not None:  # before the step, which changes the weights
        answer["cell"] = _cell(explanation, question.cell)
    if "step" in parts:
        after = explanation.step(question.learning_rate).tolist()
        answer["step"] = {"learning_rate": question.learning_rate, "after": after}
    if "occlusion" in parts:
        hidden = occlusion(network, image, label)
        answer["occlusion"] = {
            "label": label,
            "patch": PATCH,
            "stride": STRIDE,
            "unhidden": hidden.unhidden,
            "probabilities": hidden.probabilities.tolist(),
        }
    if "nearest" in parts:
        answer["nearest"] = nearest.describe(image)
    if "code" in parts:
        answer["code"] = _code(explanation, reader)
    return answer


def _cell(explanation: Explanation, asked: dict[str, Any]) -> dict[str, Any]:
    names, layer, at = explanation.network.names, asked.get("layer"), asked.get("at")
    backward = asked.get("backward", False)
    if layer not in names or type(backward) is not bool:
        raise OptionError(
            f'"cell" must name a "layer", one of {", ".join(names)}, and whether "backward", true or false'
        )
    number = names.index(layer)
    shape = explanation.network.shapes[number if backward else number + 1]
    place = _place(at, shape)
    if place is None:
        raise OptionError(f'"at" must name a number of {layer}, whose shape is {shape}, not {_told(at)}')
    cell = (backward_cell if backward else forward_cell)(explanation, number, place)
    return {"layer": layer, "backward": backward, "at": place, **_described(cell)}


def _place(at: Any, shape: Shape) -> Shape | None:
    if not isinstance(at, list) or len(at) != len(shape) or any(type(index) is not int for index in at):
        return None
    return tuple(at) if all(0 <= index < length for index, length in zip(at, shape, strict=True)) else None


def _described(cell: Cell) -> dict[str, Any]:
    return {
        "rule": cell.rule,
        "value": cell.value,
        "inputs": cell.inputs.tolist(),
        "weights": None if cell.weights is None else cell.weights.tolist(),
        "bias": cell.bias,
        "sum": None if cell.weights is None else math.fsum((cell.inputs.astype(np.float64) * cell.weights).ravel()),
        "numbers": cell.numbers,
        "corner": cell.corner,
        "chosen": cell.chosen,
    }


def _code(explanation: Explanation, reader: DigitReader) -> dict[str, Any]:
    """For each kind of layer the lines of both passes; the copy's backward, where that goes by other constants."""
    return {
        type(layer).__name__: {
            "forward": [vars(source) for source in sources(layer, False)],
            "backward": [vars(source) for source in sources(ours, True)],
        }
        for layer, ours in zip(reader.network.layers, explanation.network.layers, strict=True)
    }
