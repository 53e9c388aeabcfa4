"""Questions to /api/explain that make no sense, and sensible ones about digits that nobody has drawn."""

import base64
import json
from collections.abc import Callable
from functools import cache

import numpy as np

from tests.system.drawing import data_url, drawn_digit, encoded
from tests.system.hostile.bodies import BODIES
from tests.system.hostile.damaged import DAMAGED
from tests.system.hostile.wire import as_json, json_post, pick, post

EXPLAIN = "/api/explain"
PIXELS = 28 * 28
PARTS = ["maps", "gradients", "step", "occlusion", "nearest", "code"]
FIELDS = ["label", "learning_rate", "parts", "cell", "image", "pixels", "PIXELS", "__proto__", ""]
LAYERS = ["conv2d_1", "batchnorm_2", "relu_3", "maxpool2d_1", "dropout_1", "flatten_1", "dense_1"]

ODD_VALUES = r"""
null
true
false
0
-0.0
1
-1
9.5
1.0
10
11
1e999
-1e999
1e-999
NaN
Infinity
-Infinity
4294967296
1e308
10.000000000000002
""
"0"
"maps"
"\ud800"
"\u0000"
[]
{}
[0]
[[]]
["maps", "maps"]
["maps", null]
["map"]
[["maps"]]
[NaN]
{"layer": "conv2d_1"}
{"layer": null, "at": null, "backward": null}
{"layer": ["conv2d_1"], "at": [0, 0, 0]}
{"layer": {}, "at": {}, "backward": {}}
{"layer": "conv2d_1", "at": [0, 0, 0], "backward": 1}
{"layer": "../../etc/passwd", "at": [0]}
""".strip().splitlines()
ODD_VALUES += ["9" * 4000, "-" + "9" * 4000, "9" * 5000, "1e" + "9" * 5000, "0." + "0" * 9999 + "1"]
ODD_VALUES += ['"' + "x" * 10**6 + '"', "[" + '"maps",' * 10**5 + '"maps"]', "[" + '"x",' * 10**5 + "0]"]
ODD_PLACES = ["0", "1", "9", "12", "25", "26", "47", "48", "-1", "-26", "1439", "1440", "true", "0.0", "1e999", "null"]
ODD_PLACES += ["NaN", '"0"', "[]", "{}", "9223372036854775808", "9" * 4000]


@cache
def _pixels() -> str:
    return base64.b64encode(np.random.default_rng(1).bytes(PIXELS)).decode()


def question(*fields: str) -> bytes:
    """A request that brings pixels in order, then these, each `"name": value`; the last of a name is what counts."""
    return json_post("{" + ", ".join([f'"pixels": "{_pixels()}"', *fields]) + "}", EXPLAIN)


def sensible(rng: np.random.Generator) -> bytes:
    """A question that can be answered, always in the same way; nothing of it is rounded to few steps."""
    url, at = data_url(encoded(drawn_digit(rng))), [int(i) for i in rng.integers(26, size=3)]
    cell = {"layer": "conv2d_1", "at": at, "backward": False}
    rate = 10 ** rng.uniform(-4, -1)
    body = {"image": url, "label": int(rng.integers(10)), "learning_rate": rate, "parts": ["step"], "cell": cell}
    return json_post(json.dumps(body), EXPLAIN)


def _odd_cell(rng: np.random.Generator) -> bytes:
    at = ", ".join(pick(ODD_PLACES, rng) for _ in range(rng.integers(6)))
    backward = pick(["true", "false", "0", '"true"', "null"], rng)
    return question(f'"cell": {{"layer": "{pick(LAYERS, rng)}", "at": [{at}], "backward": {backward}}}', '"parts": []')


def _nested(rng: np.random.Generator) -> bytes:
    depth = int(rng.choice([50, 500, 900, 940, 960, 980, 1000, 50_000]))
    opening, closing = [("[", "]"), ('{"at":', "}"), ('{"layer":', "}")][rng.integers(3)]
    return question(f'"{pick(FIELDS, rng)}": ' + opening * depth + "0" + closing * depth)


def _wrong_pixels(rng: np.random.Generator) -> bytes:
    size = int(rng.choice([0, 1, PIXELS - 1, PIXELS + 1, PIXELS * 4, 10**6, int(rng.integers(3000))]))
    code = base64.b64encode(bytes(size)).decode()
    return question(f'"pixels": {json.dumps(pick([code, code[:-1], code + "=", " " + code, code + "é"], rng))}')


def _any_digit(rng: np.random.Generator) -> bytes:
    """Noise, bars, nothing at all; the smallest and the largest steps."""
    levels = rng.integers(0, 256, PIXELS) * (rng.random(PIXELS) < rng.choice([0, 0.1, 1]))
    levels = np.where(rng.random(PIXELS) < rng.choice([0, 0.5, 1]), 255, levels)
    parts = [part for part in PARTS if rng.random() < 0.5]
    rate = pick([10.0, 5e-324, 1e-40, 1, 10 ** rng.uniform(-9, 1)], rng)
    body = {"pixels": base64.b64encode(levels.astype(np.uint8).tobytes()).decode(), "label": int(rng.integers(10))}
    return json_post(json.dumps({**body, "learning_rate": rate, "parts": parts}), EXPLAIN)


def _elsewhere(make: Callable[[np.random.Generator], bytes]) -> Callable[[np.random.Generator], bytes]:
    return lambda rng: make(rng).replace(b" /api/predict ", f" {EXPLAIN} ".encode(), 1)


QUESTIONS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "odd field of a question": lambda rng: question(f'"{pick(FIELDS, rng)}": {pick(ODD_VALUES, rng)}'),
    "odd cell": _odd_cell,
    "nested question": _nested,
    "wrong pixels": _wrong_pixels,
    "question about a damaged picture": lambda rng: post(as_json(pick(list(DAMAGED.values()), rng)(rng)), EXPLAIN),
    **{f"{name}, to be explained": _elsewhere(make) for name, make in BODIES.items()},
}
SENSIBLE: dict[str, Callable[[np.random.Generator], bytes]] = {"any digit at all": _any_digit, "question": sensible}
