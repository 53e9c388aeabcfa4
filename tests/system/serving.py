"""How many drawings a second the demo reads, beside the same page with ONNX Runtime: python -m tests.system.serving.

wrk sends what the page sends, drawings of 280 x 280 as PNG in JSON, over loopback and over several connections at once.
The servers take turns, round after round, so that whatever else happens on the machine happens to all of them.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.compare.environment import python_with, say
from benchmarks.compare.protocol import BenchmarkError
from benchmarks.compare.report import machine
from nncore.training.options import whole_number
from tests.system.demo_server import HOST, OURS, DemoServer, get, predict
from tests.system.drawing import data_url, drawn_digit, encoded

DRAWINGS = 30
IN_TURN = 200  # requests one after the other, for the server's own time
ONNX = ("onnx==1.23.2", "onnxruntime==1.31.1")
SHARED = (
    "bootstrap-flask",
    "flask",
    "numpy",
    "pillow",
    "platformdirs",
    "pooch",
    "threadpoolctl",
    "tqdm",
    "waitress",
    "werkzeug",
)  # of our own versions
INTRA_OP = (1, 2)

# wrk counts microseconds, and as errors.status the answers above 399.
SCRIPT = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local next = 0
request = function()
  next = next %% #bodies + 1
  return wrk.format("POST", "/api/predict", {["Content-Type"] = "application/json"}, bodies[next])
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"answers": %%d, "lasted": %%d, "p50": %%d, "p99": %%d, "slowest": %%d, "refused": %%d, "broken": %%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max, e.status,
    e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass
class Measured:
    """One server under one number of connections: a figure a round, times in milliseconds."""

    per_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    slowest: float = 0.0
    refused: int = 0  # answers that are no success
    broken: int = 0  # connections that failed, and answers that took more than two seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status: 0, 1 if anything was answered with an error, 2 if it could not be run."""
    options = _parser().parse_args(arguments)
    try:
        return benchmark(options)
    except (BenchmarkError, OSError) as error:
        print(f"tests.system.serving: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def benchmark(options: argparse.Namespace) -> int:
    """Start, time and report."""
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is needed, and not found on PATH: install it (Debian: apt-get install wrk)")
    facts = machine()
    say("\n".join(f"{name}: {value}" for name, value in facts.items()))
    drawings = [data_url(encoded(drawn_digit(np.random.default_rng(i)))) for i in range(DRAWINGS)]
    say("starting python -m webdemo, again and again ...")
    starting = start_times(options.rounds, drawings[0])

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = write_script(folder, drawings)
        servers = {name: stack.enter_context(DemoServer(command)) for name, command in commands().items()}
        own = compare(servers, drawings)
        table = {(name, count): Measured() for count in options.connections for name in servers}
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds} ...")
            for (name, count), measured in table.items():
                load(servers[name].port, count, options.seconds, script, measured)

    print(report(options, table, own, starting, facts))
    return 1 if any(measured.refused or measured.broken for measured in table.values()) else 0


def commands() -> dict[str, list[str | Path]]:
    """What starts each server, by name; ours first. The opponents' packages are installed where they are missing."""
    python = python_with([*ONNX, *(f"{name}=={version(name)}" for name in SHARED)])
    opponent: list[str | Path] = [python, "-m", "tests.system.onnx_demo", "--intra-op"]
    theirs = {f"Flask + ONNX Runtime, intra_op {threads}": [*opponent, str(threads)] for threads in INTRA_OP}
    return {"nncore's": list(OURS), **theirs}


def compare(servers: Mapping[str, DemoServer], drawings: Sequence[str]) -> dict[str, float]:
    """The median of the milliseconds that each says it needs for a drawing, asked for one after the other.

    BenchmarkError where the servers do not read the same.
    """
    times, expected = {}, None
    for name, server in servers.items():
        server.wait_until_ready()
        answers = [predict(server.port, drawings[i % len(drawings)]) for i in range(IN_TURN)]
        times[name] = median(answer["milliseconds"] for answer in answers)
        read = [[(found["digit"], found["verdict"], found["seen"]) for found in answer["digits"]] for answer in answers]
        expected = expected or read
        if read != expected:
            raise BenchmarkError(f"{name} does not read what the others read")
    return times


def write_script(folder: Path, drawings: Sequence[str]) -> Path:
    """The script for wrk, and beside it the bodies, one a line."""
    bodies, script = folder / "bodies.txt", folder / "drawings.lua"
    bodies.write_text("".join(json.dumps({"image": image}) + "\n" for image in drawings))
    script.write_text(SCRIPT % bodies)
    return script


def load(port: int, connections: int, seconds: int, script: Path, measured: Measured) -> None:
    """Let wrk ask one server for some seconds."""
    command: list[str | Path] = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "-s",
        script,
        f"http://{HOST}:{port}",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"wrk failed: {(done.stderr or done.stdout).strip()}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if not figures["answers"]:
        raise BenchmarkError("no answer came while wrk was asking")
    measured.per_second.append(figures["answers"] / figures["lasted"] * 1e6)
    measured.p50.append(figures["p50"] / 1000)
    measured.p99.append(figures["p99"] / 1000)
    measured.slowest = max(measured.slowest, figures["slowest"] / 1000)
    measured.refused += figures["refused"]
    measured.broken += figures["broken"]


def start_times(rounds: int, drawing: str) -> dict[str, float]:
    """Seconds from the start of our server's process, medians; kernels compiled by earlier runs are on the disk."""
    steps: dict[str, Callable[[DemoServer], object]] = {
        "the page is answered": lambda server: get(server.port, "/"),
        "/readyz says so": lambda server: server.wait_until_ready(),
        "a drawing sent at once is answered": lambda server: predict(server.port, drawing),
    }
    times: dict[str, list[float]] = {step: [] for step in steps}
    with DemoServer() as server:
        server.wait_until_ready()  # so that the kernels are on the disk
    for _ in range(rounds):
        for step, wait in steps.items():
            with DemoServer() as server:
                wait(server)
                times[step].append(time.perf_counter() - server.began)
    return {step: median(seconds) for step, seconds in times.items()}


def report(
    options: argparse.Namespace,
    table: dict[tuple[str, int], Measured],
    own: dict[str, float],
    starting: dict[str, float],
    facts: dict[str, str],
) -> str:
    """A Markdown table and what a reader needs to judge it."""
    lines = [
        f"Drawings of 280 x 280 as PNG in JSON, {options.rounds} rounds of {options.seconds} s in turns; medians over "
        "the rounds:\n",
        "| connections | server | requests/s | lowest to highest | p50, ms | p99, ms | slowest | refused | broken |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (name, count), measured in table.items():
        speed = measured.per_second
        cells = [str(count), name, f"{median(speed):,.0f}", f"{min(speed):,.0f} to {max(speed):,.0f}"]
        cells += [f"{median(measured.p50):.1f}", f"{median(measured.p99):.1f}", f"{measured.slowest:.1f}"]
        lines.append(f"| {' | '.join([*cells, str(measured.refused), str(measured.broken)])} |")
    lines.append("")
    started = ", ".join(f"{step} after {seconds:.2f} s" for step, seconds in starting.items())
    lines.append(f"- from the start of python -m webdemo, kernels compiled before: {started}")
    lines += [
        f"- {name}: {value:.2f} ms for a drawing by its own account, asked one at a time" for name, value in own.items()
    ]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    used = ", ".join(f"{name} {version(name)}" for name in (*SHARED, "numba"))
    lines.append(f"- Python {sys.version.split()[0]}, {used}; opponents: the same without Numba, {', '.join(ONNX)}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.serving", description="Time the demo under load, beside one with ONNX Runtime."
    )
    count = whole_number(1, 1000)
    parser.add_argument("--seconds", type=count, default=5, metavar="N", help="a server's turn (default: 5)")
    parser.add_argument("--rounds", type=count, default=3, metavar="N", help="turns of each (default: 3)")
    parser.add_argument(
        "--connections", type=count, nargs="+", default=[1, 8, 64], metavar="N", help="(default: 1 8 64)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
