"""The demo page, served by a process of its own on a free port of this machine."""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare.protocol import ROOT, BenchmarkError, memory_of, without_steering

HOST = "127.0.0.1"
PATIENCE = 300.0  # seconds until it must be ready: a first start compiles, and others may do so beside it
OURS = (sys.executable, "-m", "webdemo")


class DemoServer:
    """A server from its start to the end of the `with` block.

    Attributes:
        began: when its process was started, as time.perf_counter() has it.
        port: where it listens, on 127.0.0.1.
        pid: its process.

    Raises BenchmarkError, with what it has said, where it does not start.
    """

    def __init__(self, command: Sequence[str | Path] = OURS) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log, env=without_steering({})
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        address = re.search(rb"http://[0-9.]+:([0-9]+)/", self._process.stdout.readline())
        if address is None:
            self._process.wait()
            complaint = self.log().strip()
            self.__exit__()
            raise BenchmarkError(f"the demo cannot be served: {complaint}")
        self.port = int(address[1])

    def __enter__(self) -> "DemoServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def log(self) -> str:
        """What it has logged so far."""
        number = self._log.fileno()  # read without moving the place where the server writes
        return os.pread(number, os.fstat(number).st_size, 0).decode(errors="replace")

    def wait_until_ready(self) -> None:
        """Return when its kernels are compiled."""
        deadline = time.monotonic() + PATIENCE
        while get(self.port, "/readyz")[0] != 200:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"the demo is not ready after {PATIENCE:.0f} seconds: {self.log().strip()}")
            time.sleep(0.01)

    def memory(self) -> dict[str, float] | None:
        """What it occupies now and did at most, "VmRSS" and "VmHWM" in MB; None where the system does not tell."""
        return memory_of(self.pid)


def get(port: int, path: str) -> tuple[int, bytes]:
    """The status and body of an address."""
    return _ask(port, "GET", path, None)


def predict(port: int, image: str) -> dict[str, Any]:
    """What the server reads in a data URL. BenchmarkError if it refuses."""
    status, body = _ask(port, "POST", "/api/predict", json.dumps({"image": image}))
    if status != 200:
        raise BenchmarkError(f"a good picture was answered with {status}: {body.decode(errors='replace')}")
    answer: dict[str, Any] = json.loads(body)
    return answer


def _ask(port: int, method: str, path: str, body: str | None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"the demo at {HOST}:{port} does not answer: {error}") from error
    finally:
        connection.close()
