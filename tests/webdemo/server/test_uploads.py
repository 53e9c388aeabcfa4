"""What a request may bring, and what it is told if it brings something else."""

import base64
import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import UnprocessableEntity
from werkzeug.test import encode_multipart

from tests.webdemo.pictures import SEVEN, data_url, drawing, encoded
from webdemo.server.uploads import MAX_REQUEST, from_data_url


@given(st.binary(min_size=1), st.sampled_from(["png", "jpeg", "webp", "gif", "bmp"]))
def test_what_was_encoded_comes_back(content, kind):
    assert from_data_url(f"data:image/{kind};base64,{base64.b64encode(content).decode()}") == content


@given(st.text() | st.text(string.ascii_letters + string.digits + "+/=:;,%").map("data:image/png;base64,".__add__))
def test_anything_else_is_refused_and_nothing_else_raised(text):
    try:
        content = from_data_url(text)
    except UnprocessableEntity:
        return
    assert text.split(",", 1)[1] == base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data:image/png;base64,",
        "data:image/png,AAAA",
        "data:image/svg+xml;base64,AAAA",
        "data:text/html;base64,aGk=",
        "data:image/png;base64,aGk*",
        "data:image/png;base64,aGk",
        "data:image/png;base64,aGl=",
        "data:image/png;base64,aB==",
        "data:image/png;base64,aGk=\n",
        " data:image/png;base64,aGk=",
        "data:image/png;base64,aGk=&x=1",
        "data:image/png;base64,aG k=",
        "DATA:IMAGE/PNG;BASE64,aGk=",
        "data:image/png;base64,aGk\u0661",
        "javascript:data:image/png;base64,aGk=",
        "file:///etc/passwd",
        "http://127.0.0.1/",
    ],
)
def test_near_misses_are_refused(text):
    with pytest.raises(UnprocessableEntity):
        from_data_url(text)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "JSON"),
        (b"{", 400, "JSON"),
        (b"\xff\xfe", 400, "JSON"),
        (b"[" * 100_000, 400, "JSON"),
        (b'{"image": ' + b"9" * 10_000 + b"}", 400, "JSON"),
        (b"[]", 422, "image"),
        (b"null", 422, "image"),
        (b"{}", 422, "image"),
        (b'{"image": 5}', 422, "image"),
        (b'{"image": ["data:image/png;base64,AAAA"]}', 422, "image"),
        (b'{"image": "data:image/png;base64,aGk*"}', 422, "base64"),
    ],
)
def test_json_that_brings_no_picture(client, body, status, words):
    answer = client.post("/api/predict", data=body, content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert words in answer.json["detail"]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "empty"),
        (b"hello", 415, "PNG"),
        (b"%PDF-1.7", 415, "PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "PNG"),
        (b"\x89PNG\r\n\x1a\n", 415, "PNG"),
        (encoded(drawing(SEVEN))[:200], 422, "picture"),
        (encoded(drawing(SEVEN), "TIFF"), 415, "PNG"),
    ],
)
def test_files_that_are_no_pictures(client, content, status, words):
    answer = client.post("/api/predict", data={"file": (io.BytesIO(content), "x.png")})
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert words in answer.json["detail"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "image/png", "text/xml"])
def test_other_media_types_are_refused(client, kind):
    answer = client.post("/api/predict", data=b"image=data:image/png;base64,AAAA", content_type=kind)
    assert (answer.status_code, answer.mimetype) == (415, "application/problem+json")
    assert '"file"' in answer.json["detail"]


def test_a_form_without_the_field_is_told_its_name(client):
    answer = client.post("/api/predict", data={"picture": (io.BytesIO(b"x"), "x.png")})
    assert answer.status_code == 400
    assert '"file"' in answer.json["detail"]


def as_form(content: bytes) -> dict[str, object]:
    """A form with one file, made here: the test client itself would put a large one on the disk."""
    boundary, body = encode_multipart({"file": FileStorage(io.BytesIO(content), "picture")})
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}


@pytest.mark.parametrize("body", [{"json": {"image": "x" * MAX_REQUEST}}, as_form(b"x" * MAX_REQUEST)])
def test_large_requests_are_refused(client, body):
    answer = client.post("/api/predict", **body)
    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")
    assert "16 MiB" in answer.json["detail"]


def test_no_upload_reaches_the_disk(client, monkeypatch):
    def forbidden(*arguments, **keywords):
        raise AssertionError("a temporary file was made")

    for name in ("tempfile.TemporaryFile", "tempfile.SpooledTemporaryFile", "werkzeug.formparser.SpooledTemporaryFile"):
        monkeypatch.setattr(name, forbidden)
    large = encoded(drawing(SEVEN).resize((1200, 1200)), "BMP")
    assert len(large) > 2**20
    assert client.post("/api/predict", **as_form(large)).status_code == 200


def test_a_data_url_and_a_file_are_read_alike(client):
    file = encoded(drawing(SEVEN))
    by_url = client.post("/api/predict", json={"image": data_url(file)}).json["digits"]
    assert client.post("/api/predict", data={"file": (io.BytesIO(file), "x")}).json["digits"] == by_url
