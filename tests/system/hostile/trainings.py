"""What is asked of the trainings: runs that do not exist, and orders that must not be obeyed.

Whatever the server makes of it, no training starts: every order brings a setting that is refused, or none at all, and
the one run there is has failed, so that it cannot go on.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nncore.training.options import parse
from nncore.training.recorder import set_status
from nncore.training.run import Run
from tests.system.hostile.wire import BOUNDARY, Body, pick, post, request

RUN = "spoilt-by-hostile"  # the one there is
NAMES = (
    """
..
.
%2e%2e
..%2f..%2f..%2fetc%2fpasswd
..%5c..%5cwindows
%2fetc%2fpasswd
../../../etc/passwd
run/../../outside
run%2f..%2f..%2foutside
%00
run%00
run%0a
run%0d%0aX-Injected:%201
run%20
RUN
run.
run;x
é
%c3%28
%e2%80%aerun
%f0%9f%92%a9
%ed%a0%80
r%cc%88un
%ef%bd%92un
%c2%85
~
*
con
%25%32%65
{name}
' OR 1=1
""".strip()
    .replace("run", RUN)
    .splitlines()
)
NAMES += ["9" * 5000, "a" * 60_000, "%f0%9f%92%a9" * 4000, "../" * 9000, "%2e%2e%2f" * 5000]
EPOCHS = [
    "-1",
    "01",
    "+0",
    "0.0",
    "1e9",
    "NaN",
    "x",
    "%00",
    "%d9%a3",
    "%20",
    "",
    "9" * 19,
    "9" * 5000,
    "-" + "9" * 5000,
]
EPOCHS += ["..%2f..%2fconfig.json", "../config.json", "0000.npz", "0", "1", "2", "3"]

ORIGINS = """
Origin: http://example.org
Origin: http://127.0.0.1.example.org
Origin: http://127.0.0.1@example.org
Origin: http://127.0.0.1:1
Origin: http://localhost
Origin: null
Origin:
Origin: x
Origin: é
Origin: http://[
Origin: http://[x]:99999
Origin: //\\0
Origin: http://127.0.0.1, http://example.org
Sec-Fetch-Site: cross-site
Sec-Fetch-Site: same-site
Sec-Fetch-Site: none
Sec-Fetch-Site: SAME-ORIGIN
Sec-Fetch-Site:
Host: example.org
Host: 127.0.0.1.example.org
Host: 127.0.0.1@example.org
Host: localhost.
Host: [
Host: [x]:y
Host: 127.0.0.1:99999x
Host:
""".strip().splitlines()
ORIGINS += ["Origin: http://" + "x" * 60_000, "Origin: http://" + "[" * 9000, "Host: " + "x" * 60_000]

REFUSED = '{"epochs": 51}'  # more than may be
ORDERS = ["/api/training", "/api/training/stop", f"/api/runs/{RUN}/resume", "/api/runs/x/resume"]
ODD_SETTINGS = r"""
{
[]
null
0
NaN
"epochs"
[{"epochs": 1}]
{"epochs": 0}
{"epochs": -1}
{"epochs": true}
{"epochs": 1.0}
{"epochs": null}
{"epochs": 1e999}
{"epochs": 999999999999999999999}
{"epochs": 1, "epochs": 51}
{"learning_rate": 0}
{"learning_rate": -1}
{"learning_rate": NaN}
{"learning_rate": 1e999}
{"learning_rate": -Infinity}
{"learning_rate": "1"}
{"learning_rate": [1]}
{"seed": -1}
{"seed": 4294967296}
{"seed": 1e3}
{"optimizer": "__class__"}
{"optimizer": ["sgd"]}
{"optimizer": {}}
{"optimizer": "\ud800"}
{"limit": 19}
{"limit": 60001}
{"limit": false}
{"data_dir": "/etc"}
{"output": "/tmp/x"}
{"resume": ".."}
{"__class__": 1}
{"": 1}
{"\u0000\ud800": 1}
{"epochs": 1,}
""".strip().splitlines()
ODD_SETTINGS += ["", "\0", '{"epochs": ' + "9" * 4000 + "}", '{"epochs": ' + "9" * 5000 + "}", "[" * 100_000]
ODD_SETTINGS += ['{"epochs": ' + "[" * 900 + "]" * 900 + "}", '{"%s": 1}' % ("x" * 10**6), " " * 10**6]
# What a page of another site may send without asking first
SIMPLE_TYPES = ["text/plain", "application/x-www-form-urlencoded", f"multipart/form-data; boundary={BOUNDARY}", ""]


def make_runs(folder: Path) -> Path:
    """A folder of runs with one in it, spoilt and failed; it may not be there yet."""
    run = Run.create(parse(["--quick"])[0], folder).folder.rename(folder / RUN)
    noise = np.random.default_rng(0)
    (run / "epochs").mkdir()
    for name in ("digits.npz", "live.csv", "history.csv", *(f"epochs/{epoch:04}.npz" for epoch in range(3))):
        (run / name).write_bytes(noise.bytes(2000))
    (run / "epochs" / "9999999999999999999.npz").touch()
    set_status(run, "failed", "it was meant to")
    return folder


def _run(rng: np.random.Generator) -> bytes:
    more = ["", "/", "/digits", "/x", f"/epochs/{pick(EPOCHS, rng)}"]
    return request("GET", f"/api/runs/{pick(NAMES, rng)}{pick(more, rng)}")


def _foreign(rng: np.random.Generator) -> bytes:
    """An order from elsewhere."""
    header = pick(ORIGINS, rng)
    content = post(Body("application/json", REFUSED.encode()), pick(ORDERS, rng), f"{header}\r\n")
    return content.replace(b"Host: 127.0.0.1\r\n", b"", 1) if header.startswith("Host") else content


def _wrong_type(rng: np.random.Generator) -> bytes:
    return post(Body(pick(SIMPLE_TYPES, rng), REFUSED.encode()), "/api/training")


def _settings(rng: np.random.Generator) -> bytes:
    return post(Body("application/json", pick(ODD_SETTINGS, rng).encode()), "/api/training")


STRANGE_RUNS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "odd name of a run": _run,
    "odd epoch of a run": lambda rng: request("GET", f"/api/runs/{RUN}/epochs/{pick(EPOCHS, rng)}"),
    "run to go on with": lambda rng: request("POST", f"/api/runs/{pick(NAMES, rng)}/resume", "Content-Length: 0\r\n"),
}
SPOILT_RUN: dict[str, Callable[[np.random.Generator], bytes]] = {
    "spoilt run": lambda rng: request("GET", pick(["/api/runs", f"/api/runs/{RUN}", f"/api/runs/{RUN}/digits"], rng)),
}
FOREIGN_ORDERS: dict[str, Callable[[np.random.Generator], bytes]] = {"order from elsewhere": _foreign}
ODD_ORDERS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "odd settings of a training": _settings,
    "settings of another type": _wrong_type,
}
NOT_NOW: dict[str, Callable[[np.random.Generator], bytes]] = {
    "failed run to go on with": lambda rng: request("POST", f"/api/runs/{RUN}/resume", "Content-Length: 0\r\n"),
}
