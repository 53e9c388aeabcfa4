"""The picture that a request brings: a data URL in JSON, or an uploaded file. Nothing here trusts what it is given."""

import base64
import io
import re
from typing import IO, Any

import flask
from werkzeug.exceptions import BadRequest, UnprocessableEntity, UnsupportedMediaType

MAX_REQUEST = 16 * 2**20  # bytes: the photo of a good telephone
# RFC 2397, narrowed to what canvas.toDataURL() and FileReader.readAsDataURL() write.
DATA_URL = re.compile(r"data:image/(?:png|jpeg|webp|gif|bmp);base64,([A-Za-z0-9+/]+={0,2})")
EXPECTED = 'expected JSON {"image": "data:image/png;base64,..."}, as canvas.toDataURL() makes it'


class Request(flask.Request):
    """A request whose uploaded files stay in memory: Werkzeug would put what exceeds 500 kB on the disk."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return io.BytesIO()


def picture_in(request: flask.Request) -> bytes:
    """The picture file that a request brings.

    Raises:
        BadRequest (400): the body is not JSON, or the form has no file.
        UnsupportedMediaType (415): the body is neither JSON nor a form.
        UnprocessableEntity (422): it is JSON, but has no picture in it.
    """
    if request.mimetype == "application/json":
        image = json_in(request, EXPECTED).get("image")
        if not isinstance(image, str):
            raise UnprocessableEntity(f'the JSON has no text called "image": {EXPECTED}')
        return from_data_url(image)
    if request.mimetype == "multipart/form-data":
        file = request.files.get("file")
        if file is None:
            raise BadRequest('the form brings no file: send the picture in the field "file"')
        content: bytes = file.read()
        if not content:
            raise UnprocessableEntity("the file is empty: choose another")
        return content
    kind = request.mimetype or "of no stated type"
    raise UnsupportedMediaType(f'the body is {kind}: {EXPECTED}, or a form with a field "file"')


def from_data_url(text: str) -> bytes:
    """The bytes of `data:image/...;base64,...`; UnprocessableEntity unless all of it is exactly that."""
    match = DATA_URL.fullmatch(text)
    if match is None:
        raise UnprocessableEntity(f'"image" is not a picture as a base64 data URL: {EXPECTED}')
    return bytes_in(match[1], "the picture")


def bytes_in(text: str, what: str) -> bytes:
    """What base64 text holds; UnprocessableEntity, naming `what`, unless it is exactly what an encoder writes."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError as error:  # of letters beyond ASCII, or binascii's
        raise UnprocessableEntity(f"{what} is not whole base64 ({error}): send it again") from None
    if base64.b64encode(content).decode() != text:  # the last letter has bits that belong to no byte
        raise UnprocessableEntity(f"{what} is not base64 as encoders write it: send it again")
    return content


def json_in(request: flask.Request, expected: str) -> dict[str, Any]:
    """The JSON object that a request brings; 415, 400 or 422 where it brings something else, with what was expected."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType(f"the body is {request.mimetype or 'of no stated type'}: {expected}")
    try:
        body = request.get_json()
    except (BadRequest, RecursionError):  # brackets nested thousands deep exhaust the parser's stack
        raise BadRequest(f"the body is not valid JSON: {expected}") from None
    if not isinstance(body, dict):
        raise UnprocessableEntity(f"the JSON is no object: {expected}")
    return body
