"""Requests byte for byte, as they go over the wire."""

import json
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np

from tests.system.drawing import data_url, drawn_digit, encoded

INJECTED = "X-Injected"  # a header that many try to put into the answer
BOUNDARY = "----WebKitFormBoundary7MA4YWxk"
FILE_NAMES = (
    "digit.png",
    "../../etc/passwd",
    "C:\\con",
    "a\0b.png",
    "",
    "x" * 5000,
    "'; DROP TABLE;--",
    "é\u202egnp.exe",
)
TYPES = ("image/png", "image/svg+xml", "text/html", "application/x-php", "application/octet-stream", "", "x" * 300)
T = TypeVar("T")
KINDS = ("png", "jpeg", "webp", "gif", "bmp")


class Body(NamedTuple):
    """What follows the head, and its Content-Type."""

    type: str
    content: bytes


def request(method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
    """A request; each header ends with CR LF."""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode() + body


def post(body: Body, path: str = "/api/predict", more: str = "") -> bytes:
    """A request that brings a body and says so rightly; `more` are further headers."""
    headers = f"Content-Type: {body.type}\r\nContent-Length: {len(body.content)}\r\n{more}"
    return request("POST", path, headers, body.content)


def json_post(text: str | bytes, path: str = "/api/predict") -> bytes:
    """A request that brings what it calls JSON. Half of a surrogate pair is encoded as if it were a character."""
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return post(Body("application/json", content), path)


def as_json(file: bytes, kind: str = "png") -> Body:
    """A file as the page sends a drawing."""
    return Body("application/json", json.dumps({"image": data_url(file, kind)}).encode())


def as_form(file: bytes, name: str = "digit.png", kind: str = "image/png") -> Body:
    """A file as the page sends what was chosen."""
    content = part(file, name, kind) + f"--{BOUNDARY}--\r\n".encode()
    return Body(f"multipart/form-data; boundary={BOUNDARY}", content)


def part(file: bytes, name: str = "digit.png", kind: str = "image/png", field: str = "file") -> bytes:
    """One field of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
    return f"{head}Content-Type: {kind}\r\n\r\n".encode() + file + b"\r\n"


def sent(file: bytes, rng: np.random.Generator) -> bytes:
    """A request that brings a file, one way or the other; name and type have nothing to do with it."""
    if rng.random() < 0.5:
        return post(as_json(file, pick(KINDS, rng)))
    return post(as_form(file, pick(FILE_NAMES, rng), pick(TYPES, rng)))


def pick(those: Sequence[T], rng: np.random.Generator) -> T:
    """One of those."""
    return those[int(rng.integers(len(those)))]


@cache
def digit() -> bytes:
    """A good picture."""
    return encoded(drawn_digit(np.random.default_rng(0)))
