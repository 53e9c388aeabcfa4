"""The hostile requests: each a kind, with random numbers to vary it.

Request i depends on the seed and on i only. First comes each kind once, and then whatever chance decides.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from tests.system.drawing import encoded
from tests.system.hostile.bodies import BODIES
from tests.system.hostile.crafted import BOMBS, CRAFTED, LARGE
from tests.system.hostile.damaged import DAMAGED, Maker
from tests.system.hostile.foreign import FOREIGN
from tests.system.hostile.heads import BROKEN, HEADS, good
from tests.system.hostile.questions import QUESTIONS, SENSIBLE
from tests.system.hostile.trainings import FOREIGN_ORDERS, NOT_NOW, ODD_ORDERS, SPOILT_RUN, STRANGE_RUNS
from tests.system.hostile.wire import Body, as_form, as_json, json_post, post, sent

LARGEST = 16 * 2**20  # bytes of a request that the server says it takes

Manner = Literal["ask", "half-close", "walk away", "drip"]


class Kind(NamedTuple):
    """How to make one kind of request, and what may come of it.

    Its manner: "ask", a whole request, which must be answered; "half-close": be it what it may, no more will follow,
    and there may be no answer, or several; "walk away": nobody waits for the answer; "drip": it comes very slowly.
    """

    make: Maker
    allowed: frozenset[int]  # statuses, beside 503
    manner: Manner = "ask"
    share: float = 1.0  # how often it comes, compared with others


class Message(NamedTuple):
    """A request."""

    kind: str
    content: bytes
    allowed: frozenset[int]
    manner: Manner


def message(seed: int, i: int) -> Message:
    """Request number i."""
    rng = np.random.default_rng([seed, i])
    names, shares = _shares()
    name = names[i] if i < len(names) else names[rng.choice(len(names), p=shares)]
    kind = KINDS[name]
    return Message(name, kind.make(rng), kind.allowed, kind.manner)


@cache
def _shares() -> tuple[list[str], list[float]]:
    total = sum(kind.share for kind in KINDS.values())
    return list(KINDS), [kind.share / total for kind in KINDS.values()]


def _sending(make: Maker) -> Maker:
    return lambda rng: sent(make(rng), rng)


def _cut_off(rng: np.random.Generator) -> bytes:
    request = good(rng)
    return request[: rng.integers(len(request))]


@cache
def _noise() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8)
    return encoded(Image.fromarray(pixels), "PNG", compress_level=0)


GREAT: dict[str, Maker] = {
    "JSON of just 16 MiB": lambda rng: json_post(b" " * LARGEST),
    "JSON of a little more": lambda rng: json_post(b" " * (LARGEST + 1)),
    "data URL of nearly 16 MiB": lambda rng: json_post(
        b'{"image": "data:image/png;base64,' + b"A" * (LARGEST - 100) + b'"}'
    ),
    "form of nearly 16 MiB": lambda rng: post(as_form(bytes(LARGEST - 999))),
    "form of a little more": lambda rng: post(as_form(bytes(LARGEST))),
    "form of 16 MiB that looks like boundaries": lambda rng: post(as_form(b"\r\n--" * (LARGEST // 4 - 999))),
    "picture of noise, 15 MiB": lambda rng: post(as_json(_noise())),
    "33 MiB": lambda rng: post(Body("application/json", b" " * (LARGEST * 2 + 2**20))),
}
LEFT: dict[str, Maker] = {
    "nobody waits": good,
    "part of it, then nobody waits": _cut_off,
    "length that is never reached": lambda rng: good(rng).replace(b"Content-Length: ", b"Content-Length: 1", 1),
}


def _kinds(
    makers: Mapping[str, Callable[[np.random.Generator], bytes]],
    allowed: set[int],
    manner: Manner = "ask",
    share: float = 1.0,
) -> dict[str, Kind]:
    return {name: Kind(make, frozenset(allowed), manner, share) for name, make in makers.items()}


def _files(makers: Mapping[str, Maker], allowed: set[int], share: float = 1.0) -> dict[str, Kind]:
    return _kinds({name: _sending(make) for name, make in makers.items()}, allowed, share=share)


KINDS: dict[str, Kind] = {
    **_files(DAMAGED, {200, 415, 422}),
    **_files(CRAFTED, {200, 415, 422}),
    **_files(BOMBS, {415, 422}),
    **_files(FOREIGN, {415}),
    **_files(LARGE, {200, 413}, share=0.05),
    **_kinds(BODIES, {200, 400, 413, 415, 422}, share=4),
    **_kinds(QUESTIONS, {200, 400, 413, 415, 422}, share=3),
    **_kinds(SENSIBLE, {200}, share=4),
    **_kinds(STRANGE_RUNS, {308, 400, 404, 405, 414, 431}, share=5),
    **_kinds(SPOILT_RUN, {200, 404}, share=2),
    **_kinds(FOREIGN_ORDERS, {400, 403}, share=10),
    **_kinds(ODD_ORDERS, {400, 415, 422}, share=8),
    **_kinds(NOT_NOW, {404, 409}, share=2),
    **_kinds(HEADS, {200, 206, 304, 308, 400, 404, 405, 412, 413, 414, 415, 416, 422, 431}, share=6),
    **_kinds(BROKEN, {200, 206, 308, 400, 404, 405, 413, 415, 422, 431}, "half-close", share=5),
    **_kinds(GREAT, {200, 400, 413, 415, 422}, "half-close", share=0.05),
    **_kinds(LEFT, set(), "walk away", share=2),
    **_kinds({"little by little": good}, {200, 405}, "drip", share=0.2),
}
