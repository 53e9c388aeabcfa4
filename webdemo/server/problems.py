"""Errors as RFC 9457 has them: JSON with a status and a sentence that a person can act on."""

import json
from http import HTTPStatus

from flask import Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from webdemo.server.uploads import MAX_REQUEST

TOO_LARGE = f"the request is larger than {MAX_REQUEST // 2**20} MiB: send a smaller picture"
MEDIA_TYPE = "application/problem+json"


def problem(status: int, detail: str) -> bytes:
    """The body of an error."""
    title = HTTPStatus(status).phrase
    return json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()


def refusal(error: HTTPException) -> Response:
    """The answer to a request that failed, with the headers that belong to it: `Allow`, `Retry-After`."""
    status = error.code or 500
    response = Response(problem(status, _sentence(error)), status)
    response.headers.update(error.get_headers())
    response.content_type = MEDIA_TYPE
    return response


def _sentence(error: HTTPException) -> str:
    """What Werkzeug has to say, or something more to the point."""
    match error:
        case NotFound() if error.description == NotFound.description:
            return "there is nothing at this address: the page is at /, the API is described at /api/openapi.json"
        case MethodNotAllowed():
            return f"this address takes only {', '.join(sorted(error.valid_methods or ()))}"
        case RequestEntityTooLarge():
            return TOO_LARGE
    return error.description or error.name
