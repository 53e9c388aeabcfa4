"""Sends a request as it is, and judges what comes back."""

import http.client
import io
import json
import socket
import time
from contextlib import suppress
from typing import NamedTuple

from tests.system.demo_server import HOST
from tests.system.hostile.messages import Message
from tests.system.hostile.wire import INJECTED

PATIENCE = 60.0  # seconds for an answer
MEMBERS = {"type", "title", "status", "detail"}  # of a problem, RFC 9457
LONGEST = 1000  # characters of its detail, a sentence
SECRETS = (b"Traceback", b"root:x:", b'.py", line', b'.py\\", line', b"site-packages")  # what no answer may hold


class Answer(NamedTuple):
    """What the server says."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Client:
    """Sends requests over a connection that is kept as long as it can be. Not for several threads."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._kept: socket.socket | None = None

    def send(self, message: Message) -> list[Answer]:
        """The answers to a request: one to a whole request, else any number. OSError or HTTPException if it is none."""
        if message.manner == "ask":
            return [self._ask(message.content)]
        with self._connection() as connection:
            if message.manner == "drip":
                _send_slowly(connection, message.content)
                return [_answer(connection, message.content)[0]]
            _send(connection, message.content)
            if message.manner == "walk away":
                return []
            return _all_answers(connection, message.content)

    def close(self) -> None:
        """Close what is open."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _ask(self, content: bytes) -> Answer:
        connection = self._kept or self._connection()
        self._kept = None
        try:
            _send(connection, content)
            answer, ends = _answer(connection, content)
        except BaseException:
            connection.close()
            raise
        if ends:
            connection.close()
        else:
            self._kept = connection
        return answer

    def _connection(self) -> socket.socket:
        return socket.create_connection((HOST, self._port), timeout=PATIENCE)


def _send(connection: socket.socket, content: bytes) -> None:
    with suppress(ConnectionResetError, BrokenPipeError):  # refused before it was read to its end, and answered
        connection.sendall(content)


def _send_slowly(connection: socket.socket, content: bytes) -> None:
    size = -(-len(content) // 20)
    for at in range(0, len(content), size):
        connection.sendall(content[at : at + size])
        time.sleep(0.1)


def _answer(connection: socket.socket, content: bytes) -> tuple[Answer, bool]:
    """An answer, and whether the server ends the connection with it."""
    method = content.split(b" ", 1)[0].decode("latin-1")
    answer = http.client.HTTPResponse(connection, method=method)
    answer.begin()
    return Answer(answer.status, answer.headers, answer.read()), answer.will_close


class _Received(io.BytesIO):
    """What a connection has brought, in its place, for http.client to read answer after answer."""

    def makefile(self, *_: object) -> "_Received":
        return self

    def close(self) -> None:
        """Stay open for the next answer."""


def _all_answers(connection: socket.socket, content: bytes) -> list[Answer]:
    received = b""
    with suppress(OSError):  # the server has cut it off by now
        connection.shutdown(socket.SHUT_WR)
    with suppress(ConnectionError):
        for part in iter(lambda: connection.recv(65536), b""):
            received += part
    answers, file = [], _Received(received)
    while file.tell() < len(received):
        answers.append(_answer(file, content)[0])  # type: ignore[arg-type]
    return answers


def complaints(message: Message, answers: list[Answer]) -> list[str]:
    """What is wrong with them."""
    wrong = []
    for status, headers, body in answers:
        if status not in message.allowed | {503}:
            wrong.append(f"{status}, not one of {', '.join(map(str, sorted(message.allowed)))}")
        if status == 503 and "Retry-After" not in headers:
            wrong.append("503 without Retry-After")
        if status >= 400 and not message.content.startswith(b"HEAD"):
            wrong += _no_problem(status, headers, body)
        elif headers.get("Content-Type") == "application/json":
            wrong += _no_json(status, body)
        if INJECTED in headers:
            wrong.append(f"{status} with a header from the request")
        wrong += [f"{status} that tells {secret!r}" for secret in SECRETS if secret in body]
    return wrong


def _no_json(status: int, body: bytes) -> list[str]:
    """Why an answer is not JSON as browsers have it: without NaN and Infinity."""
    try:
        json.loads(body or b"null", parse_constant=_refuse)  # nothing follows HEAD, or 304
    except ValueError as error:
        return [f"{status} with what is no JSON: {error}"]
    return []


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _no_problem(status: int, headers: http.client.HTTPMessage, body: bytes) -> list[str]:
    """Why an error is not one as RFC 9457 has it."""
    if headers.get("Content-Type") != "application/problem+json":
        return [f"{status} as {headers.get('Content-Type')}"]
    try:
        problem = json.loads(body)
        fits = (
            problem.keys() >= MEMBERS and problem["status"] == status and 0 < len(problem["detail"].strip()) < LONGEST
        )
    except (ValueError, AttributeError, TypeError):
        fits = False
    return [] if fits else [f"{status} with {body[:200]!r}"]
