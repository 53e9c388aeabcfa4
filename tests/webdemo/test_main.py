"""python -m webdemo, in a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from subprocess import PIPE

from nncore.training.recorder import read_status

COMMAND = [sys.executable, "-m", "webdemo"]


def test_it_says_where_it_serves_and_stops_when_interrupted(weights):
    command = [*COMMAND, "--port", "0", "--weights", str(weights), "--threads", "1"]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, preexec_fn=heed_interrupts) as process:
        try:
            first = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/", first)[0]
            with urllib.request.urlopen(f"{address}api/model", timeout=10) as answer:
                assert json.load(answer)["name"] == "tiny"
            deadline = time.monotonic() + 60
            while "ready" not in status(f"{address}readyz"):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGINT)
        try:
            _, complaints = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, complaints) == (0, "")


def test_its_training_ends_with_it_however_it_ends(weights, few_digits, tmp_path):
    runs = tmp_path / "runs"
    command = [*COMMAND, "--port", "0", "--weights", str(weights), "--threads", "1", "--runs", str(runs)]
    environment = {**os.environ, "NNCORE_DATA": str(few_digits)}
    with subprocess.Popen(command, stdout=PIPE, text=True, env=environment) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
            settings = {"headers": {"Content-Type": "application/json"}, "data": b'{"epochs": 50}'}
            with urllib.request.urlopen(urllib.request.Request(f"{address}api/training", **settings), timeout=10) as it:
                folder = runs / json.load(it)["name"]
            wait_until((folder / "epochs" / "0001.npz").exists)
        finally:
            process.kill()
    wait_until(lambda: read_status(folder) == ("stopped", ""))
    wait_until(lambda: "stopped and saved" in (folder / "output.txt").read_text())
    assert (folder / "checkpoint.npz").exists()


def wait_until(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def heed_interrupts() -> None:
    """What is started in the background of a shell, as tests may be, and what that starts, is deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def status(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return ""


def complaint(*arguments: str) -> str:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_what_cannot_be_served_is_named(weights, tmp_path):
    missing = complaint("--weights", str(tmp_path / "none.npz"))
    assert "none.npz" in missing
    assert "Traceback" not in missing
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        in_use = complaint("--port", port, "--weights", str(weights))
    assert port in in_use
    assert "--port" in in_use
    assert "Traceback" not in in_use
    assert "65536" in complaint("--port", "65536")
    assert "--threads" in complaint("--threads", "0")


def test_flask_finds_the_application():
    command = [sys.executable, "-m", "flask", "--app", "webdemo", "routes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "/api/predict" in done.stdout
