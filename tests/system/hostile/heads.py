"""Methods, addresses and headers that nobody sends, and what is not even a request."""

import json
from collections.abc import Callable

import numpy as np

from tests.system.hostile.damaged import DAMAGES
from tests.system.hostile.wire import INJECTED, Body, as_form, as_json, digit, json_post, pick, post, request, sent

ORDINARY = ["/", "/api/predict", "/api/model", "/api/openapi.json", "/healthz", "/readyz", "/static/style.css"]
ORDINARY += ["/inside", "/training", "/api/explain", "/api/runs"]
PATHS = """
/../../../etc/passwd
/static/../app.py
/static/..%2f..%2fetc/passwd
/static/%2e%2e/%2e%2e/etc/passwd
/static//etc/passwd
/static/..%5c..%5cwindows
/static/%00
/static/style.css%00.png
/static/js
/%00
/.git/config
/.env
/%zz
/%ff%fe
/é
/./
*
/%c0%ae%c0%ae/
//127.0.0.1/
//example.org/%2e%2e
/api//predict
/api/predict/
/api/model;x=1
/api/model#x
x
?
\\
http://example.org/
https://127.0.0.1/
http://[
http://[::1]/
http://[x]:99999/
http://x:y:z/
http://
file:///etc/passwd
""".strip().splitlines()
PATHS += [*ORDINARY, "/" + "a" * 60_000, "/" + "../" * 9000, "/?" + "%00" * 9000]

METHODS = ["HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "PATCH", "CONNECT", "PROPFIND", "get", "G\0T", "X" * 9000]

HEADERS = """
Range: bytes=0-9
Range: bytes=9-0,-1,x
Range: bytes=999999999-
If-Range: x
If-None-Match: *
If-Match: x
If-Modified-Since: never
If-Modified-Since: Thu, 99 Feb 99999 99:99:99 GMT
Expect: 100-continue
Expect: x
Upgrade: websocket
Connection: x
Accept: x/y;q=x
Accept-Charset: \0
Cookie: =;=é
X-HTTP-Method-Override: DELETE
X-Forwarded-Host: example.org
Forwarded: for=x
Authorization: Basic %%
Content-Type: x
Content-Type: multipart/form-data
Content-Encoding: gzip
Host: x
Host:
Origin: null
X:
""".strip().splitlines()
HEADERS += ["X: " + "y" * 200_000, "X: " + "y" * 300_000, "X: y" + "\r\nX: y" * 5000]

# What begins so is no request. A | stands for the end of a line.
HEADLESS = """
GET /
GET / HTTP/9.9
GET / HTTP/0.9
GET / http/1.1
GET
 /
GET  /  HTTP/1.1
GET / / HTTP/1.1
GET é HTTP/1.1
PRI * HTTP/2.0||SM
GET / HTTP/1.1| no: name
GET / HTTP/1.1|X : y
GET / HTTP/1.1|X: a| b
GET / HTTP/1.1|: y
GET / HTTP/1.1|é: y
GET / HTTP/1.1|X\0: y
GET / HTTP/1.1|X: \0
GET / HTTP/1.1|no colon
GET / HTTP/1.1|Content-Length: -1
GET / HTTP/1.1|Content-Length: 1|Content-Length: 2
GET / HTTP/1.1|Transfer-Encoding: gzip
GET / HTTP/1.1|Transfer-Encoding: chunked|Content-Length: 3
""".strip("\n").splitlines()
HEADLESS += ["|" * 9999, "\0" * 999, "G" * 300_000, "GET / HTTP/1.1" + "|X: y" * 60_000, "\x16\x03\x01\2\0\1\0\1\xfc\3"]


def _injection(rng: np.random.Generator) -> bytes:
    evil = f"\r\n{INJECTED}: 1\r\n\r\n<script>"
    code = evil.replace("\r", "%0d").replace("\n", "%0a").replace(" ", "%20")
    variants = (
        *(request("GET", path + code) for path in ("/", "//", "/static/", "/api//", "/?x=", "//example.org/")),
        request("GET", "//x//", f"Host: x{evil[:2]}{INJECTED}: 1\r\n"),
        post(as_form(digit(), name=f"a{evil}")),
        post(as_form(digit(), kind=f"image/png{evil}")),
        json_post(json.dumps({"image": evil})),
        request("GET", "/", f"X-Request-Id: {code}\r\nOrigin: http://x{code}\r\nReferer: {code}\r\n"),
    )
    return pick(variants, rng)


def _chunked(body: bytes, size: int) -> bytes:
    chunks = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


CHUNKED = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"

HEADS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "odd method": lambda rng: request(pick(METHODS, rng), pick(PATHS, rng)),
    "odd address": lambda rng: request("GET", pick(PATHS, rng)),
    "odd address for a picture": lambda rng: post(as_json(digit()), pick(PATHS, rng)),
    "body with GET": lambda rng: post(as_json(digit())).replace(b"POST", b"GET", 1),
    "odd header": lambda rng: request("GET", pick(ORDINARY, rng), f"{pick(HEADERS, rng)}\r\n"),
    "odd header for a picture": lambda rng: post(as_json(digit()), more=f"{pick(HEADERS, rng)}\r\n"),
    "header that would be injected": _injection,
    "body in chunks": lambda rng: request(
        "POST", "/api/predict", CHUNKED, _chunked(as_json(digit()).content, int(rng.integers(1, 500)))
    ),
}


# Not even a request


def good(rng: np.random.Generator) -> bytes:
    return sent(digit(), rng) if rng.random() < 0.8 else request("GET", pick(ORDINARY, rng))


def _altered(rng: np.random.Generator) -> bytes:
    return pick(list(DAMAGES.values()), rng)(good(rng), rng)


def _wrong_length(rng: np.random.Generator) -> bytes:
    body = as_json(digit()).content
    n = len(body)
    lengths = [str(length) for length in (0, 1, n // 2, n - 1, n + 1, n + 999, -1, -n, 10**11, 10**30)]
    lengths += [f"+{n}", f"0x{n:x}", f"{n}, {n}", f"{n}\r\nContent-Length: 1", f"{n}.0", "", "x", "\u0661", "9" * 5000]
    headers = f"Content-Type: application/json\r\nContent-Length: {pick(lengths, rng)}\r\n"
    return request("POST", "/api/predict", headers, body)


def _broken_chunks(rng: np.random.Generator) -> bytes:
    chunks = _chunked(as_json(digit()).content, 500)
    sizes = [b"xyz", b"-5", b"0x5", b"5;" + b"x" * 9999, b"5" * 5000, b"f" * 16, b"", b"\0", b"5 ", b"+5"]
    bodies = [size + b"\r\nabcde\r\n" + chunks for size in sizes]
    bodies += [
        chunks[:-5],
        chunks[:-2],
        chunks[: len(chunks) // 2],
        chunks.replace(b"\r\n", b"\n"),
        chunks[:-2] + b"X: y",
    ]
    bodies += [b"0\r\n\r\n", b"5\r\nabcdefgh\r\n" + chunks, b"1\r\n{\r\n" * 9999]
    more = ["", "Content-Length: 5\r\n", "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: identity\r\n"]
    return request("POST", "/api/predict", CHUNKED + pick(more, rng), pick(bodies, rng))


BROKEN: dict[str, Callable[[np.random.Generator], bytes]] = {
    "random bytes": lambda rng: rng.bytes(int(rng.integers(1, 3000))),
    "random bytes for a body": lambda rng: post(
        Body(pick(["application/json", "multipart/form-data; boundary=a"], rng), rng.bytes(999))
    ),
    "good request, altered": _altered,
    "wrong length": _wrong_length,
    "broken chunks": _broken_chunks,
    "broken head": lambda rng: f"{pick(HEADLESS, rng)}||".replace("|", "\r\n").encode(),
    "several requests at once": lambda rng: good(rng) + _altered(rng) + good(rng),
}
