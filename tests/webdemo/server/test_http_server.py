"""The server's own refusals, over a real connection."""

import json
import socket

import pytest

from webdemo.app import create_app
from webdemo.server.http_server import make_server
from webdemo.server.uploads import MAX_REQUEST


def ask(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """What the server answers to these very bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def test_it_serves_the_page(port):
    status, headers, body = ask(port, b"GET / HTTP/1.0\r\n\r\n")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b'id="pad"' in body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nno colon here\r\n\r\n", 400),
        (b"POST /api/predict HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /api/predict HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"POST /api/predict HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /api/predict HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 2**18 + b"\r\n\r\n", 431),
    ],
)
def test_what_waitress_refuses_is_a_problem_too(port, request_bytes, status):
    answered, headers, body = ask(port, request_bytes)
    assert (answered, headers["Content-Type"]) == (status, "application/problem+json")
    assert json.loads(body)["status"] == status


def test_who_expects_to_continue_without_a_body_is_answered(port):
    assert ask(port, b"GET /healthz HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")[0] == 200


def test_what_is_a_little_too_large_is_told_the_limit(port):
    length = MAX_REQUEST + 1
    head = f"POST /api/predict HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    status, headers, body = ask(port, head.encode() + b" " * length)
    assert (status, headers["Content-Type"]) == (413, "application/problem+json")
    assert "16 MiB" in json.loads(body)["detail"]


def test_a_port_in_use_is_an_error(port, weights):
    with pytest.raises(OSError, match="in use"):
        make_server(create_app(weights), "127.0.0.1", port)
