"""What a request may bring that is no picture: nearly a data URL, odd JSON, odd forms."""

import json
from collections.abc import Callable

import numpy as np

from tests.system.drawing import data_url
from tests.system.hostile.wire import BOUNDARY, Body, as_form, as_json, digit, json_post, part, pick, post, request

# With {url}, a good data URL; {head}, its beginning up to the comma; {code}, what follows
NEAR_URLS = """
data:image/svg+xml;base64,{code}
data:text/html;base64,{code}
data:image/png;base64;base64,{code}
data:image/png;charset=utf-8;base64,{code}
data:image/png,{code}
data:;base64,{code}
{code}
{head}
{head},
{head},=
{head},====
{head},A
{head},,{code}
{head}, {code}
{head},{code}=
{head},%20{code}
{head},_-{code}
 {url}
{url}\0
{url}\u0661
{url}?x=1
file:///etc/passwd
http://127.0.0.1:22/
javascript:alert(1)
""".strip("\n").splitlines()

ODD_JSON = r"""
{
{}
[]
[[]]
null
true
0
""
NaN
-Infinity
1e999
{"image": null}
{"image": true}
{"image": {}}
{"image": []}
{"image": 1e400}
{"image": ["data:image/png;base64,AAAA"]}
{"image"}
{'image': 'x'}
{"image": "x",}
{"image": "x"} {}
{"image": "x"
{"image": "\x"}
{"image": "\ud800"}
{"image": "\u0000"}
{"image": "a", "image": 7}
{"image": 7, "image": "a"}
{"IMAGE": "x"}
{"__proto__": {"image": "x"}}
/* */ {"image": "x"}
""".strip().splitlines()
ODD_JSON += ["", "\0", "\ufeff{}", '{"image": "\0"}', '{"image": "\ud800"}', '{"image": "' + "\u212a" * 9999 + '"}']
ODD_JSON += ["9" * 5000, '{"image": ' + "9" * 10_000 + "}", "[" + "1," * 50_000 + "1]"]
ODD_JSON += [json.dumps({str(i): i for i in range(20_000)})]

BOUNDARIES = [
    "",
    "; boundary=",
    '; boundary=""',
    "; boundary=é",
    "; boundary=a b",
    "; BOUNDARY=x",
    f"; boundary={'x' * 3000}",
]
OTHER_TYPES = ["", ";", "é", "*/*", "a/b/c", "text/plain", "image/png", "application/json5", "multipart/mixed"]


def _near_url(rng: np.random.Generator) -> bytes:
    url = data_url(digit())
    head, _, code = url.partition(",")
    return json_post(json.dumps({"image": pick(NEAR_URLS, rng).format(url=url, head=head, code=code)}))


def _json_in_another_encoding(rng: np.random.Generator) -> bytes:
    text = json.dumps({"image": data_url(digit())}).encode(str(rng.choice(["utf-16", "utf-32-le", "utf-7", "cp037"])))
    return post(Body(f"application/json; charset={rng.choice(['utf-16', 'ebcdic', 'x' * 999, 'idna'])}", text))


def _nested_json(rng: np.random.Generator) -> bytes:
    opening = pick(["[", '{"image":', '[{"a":'], rng)
    return json_post(opening * 100_000 + "]" * 100_000 * int(rng.integers(2)))


def _odd_form(rng: np.random.Generator) -> bytes:
    good, end = part(digit()), f"--{BOUNDARY}--\r\n".encode()
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"'.encode()
    bodies = (
        *(b"", end, good, good[:-9], good + b"--", good * 2 + end, b"\r\n" * 1000 + good + end, good[:40], head),
        *(part(digit(), field="picture") + end, part(digit(), field="") + end, part(b"") + end, good + rng.bytes(500)),
        *(head + b"\r\n\r\nnot a file\r\n" + end, head + b'; filename="a"\r\nX: ' + b"x" * 99_999 + b"\r\n\r\n" + end),
        head + b'; filename="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n' + end,
        head + b"; filename*=utf-7''%00%ff\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n" + end,
        head.replace(b"form-data", b"attachment") + b"\r\n\r\nx\r\n" + end,
        f"--{BOUNDARY}\r\n\r\nno head\r\n".encode() + end,
    )
    return post(Body(f"multipart/form-data; boundary={BOUNDARY}", pick(bodies, rng)))


def _many_parts(rng: np.random.Generator) -> bytes:
    return post(as_form(b"x" + b"\r\n" + part(b"x", field="a") * int(rng.integers(990, 5000))))


def _many_fields(rng: np.random.Generator) -> bytes:
    return post(Body("application/x-www-form-urlencoded", b"&".join(b"a%d=%%00" % i for i in range(20_000))))


BODIES: dict[str, Callable[[np.random.Generator], bytes]] = {
    "almost a data URL": _near_url,
    "odd JSON": lambda rng: json_post(pick(ODD_JSON, rng)),
    "JSON nested 100,000 deep": _nested_json,
    "JSON in another encoding": _json_in_another_encoding,
    "JSON that is random bytes": lambda rng: json_post(rng.bytes(int(rng.integers(2000)))),
    "base64 of random bytes": lambda rng: post(as_json(rng.bytes(int(rng.integers(3000))))),
    "odd form": _odd_form,
    "odd boundary": lambda rng: post(Body(f"multipart/form-data{pick(BOUNDARIES, rng)}", as_form(digit()).content)),
    "form of a thousand parts": _many_parts,
    "another type": lambda rng: post(Body(pick(OTHER_TYPES, rng), as_json(digit()).content)),
    "twenty thousand fields": _many_fields,
    "no body": lambda rng: request("POST", "/api/predict"),
}
