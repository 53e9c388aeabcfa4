"""Serving the application with waitress, bounded in memory and time."""

import socket
from http import HTTPStatus

from flask import Flask
from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer, TcpWSGIServer
from waitress.task import ErrorTask

from webdemo.server.problems import MEDIA_TYPE, TOO_LARGE, problem
from webdemo.server.service import MAX_WAITING
from webdemo.server.uploads import MAX_REQUEST


class ProblemTask(ErrorTask):  # type: ignore[misc]
    """The answer to what waitress refuses itself: broken headers, or a body that never ends."""

    def execute(self) -> None:
        """Write it in the form that all our errors have."""
        error = self.request.error
        # A transfer coding that waitress does not know is the client's mistake as much as any other broken header.
        status = 400 if error.code == 501 else error.code
        detail = TOO_LARGE if status == 413 else f"the server cannot make sense of the request ({error.body})"
        body = problem(status, detail)
        self.status = f"{status} {HTTPStatus(status).phrase}"
        self.response_headers += [("Content-Type", MEDIA_TYPE), ("X-Content-Type-Options", "nosniff")]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class StrictParser(HTTPRequestParser):  # type: ignore[misc]
    """Waitress's, which leaves some who ask for nonsense without an answer."""

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of `GET http://[`, or of a Content-Length of 5,000 digits
            raise ParsingError(str(error)) from error
        if not self.chunked and not self.content_length:
            self.expect_continue = False  # it would wait for a body that never comes


class ProblemChannel(HTTPChannel):  # type: ignore[misc]
    """A connection whose errors are problems."""

    error_task_class = ProblemTask
    parser_class = StrictParser


def make_server(app: Flask, host: str, port: int) -> BaseWSGIServer:
    """A server that listens already; `run()` answers until interrupted. OSError where the port cannot be had."""
    TcpWSGIServer.channel_class = ProblemChannel
    listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    return create_server(
        app,
        sockets=[listening],
        # Some more than may wait for a reading, so that the page is still served, and refusals too.
        threads=MAX_WAITING + 8,
        connection_limit=2 * MAX_WAITING,
        channel_timeout=10,
        cleanup_interval=5,
        # Flask refuses what is too large, after all of it has come: a browser that is cut off while it sends does not
        # listen to why. Only what goes on and on is cut off. Nothing overflows to the disk.
        max_request_body_size=2 * MAX_REQUEST,
        inbuf_overflow=2 * MAX_REQUEST + 1,
        outbuf_overflow=2 * MAX_REQUEST,
        ident=None,
    )
