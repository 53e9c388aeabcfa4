"""Ten thousand hostile requests, and what the demo makes of them: python -m tests.system.hostile.

They go over loopback, over several connections at once. Every now and then comes a good picture, or a good question
about one, whose answer must be the one it got when nothing else was asked. No training may begin. The exit status is 1
if anything was wrong, with the requests that show it.
"""

import argparse
import http.client
import json
import math
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import numpy as np

from benchmarks.compare.protocol import BenchmarkError
from benchmarks.compare.report import machine
from nncore.errors import NNCoreError
from nncore.training.options import whole_number
from tests.system.demo_server import HOST, OURS, DemoServer, get
from tests.system.drawing import drawn_digit, drawn_number, encoded
from tests.system.hostile.client import Client, complaints
from tests.system.hostile.messages import KINDS, Message, message
from tests.system.hostile.questions import sensible
from tests.system.hostile.trainings import RUN, make_runs
from tests.system.hostile.wire import as_json, post

CONNECTIONS = 8
GOOD_PICTURES, GOOD_QUESTIONS = 20, 10
GOOD_AFTER = 4  # hostile requests
ROUNDS = 10  # memory is noted after each; the first warms up
MAX_SECONDS = 900.0
MAX_SHOWN = 40
GROWTH = 100  # MB after the first round: less may be what large pictures happen to leave behind


@dataclass
class Tally:
    """What has come back so far."""

    statuses: Counter[str] = field(default_factory=Counter)
    good: int = 0
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Good:
    """A request that is in order, and its answer when nothing else was asked."""

    request: Message
    answer: Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status: 0, 1 if anything was wrong, 2 if it could not be run."""
    options = _parser().parse_args(arguments)
    try:
        if options.url:
            return _torment(options, options.url.port, None)
        with tempfile.TemporaryDirectory() as folder, DemoServer((*OURS, "--runs", make_runs(Path(folder)))) as server:
            server.wait_until_ready()
            return _torment(options, server.port, server)
    except (BenchmarkError, NNCoreError, OSError) as error:
        print(f"tests.system.hostile: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _torment(options: argparse.Namespace, port: int, server: DemoServer | None) -> int:
    facts = machine()
    good = list(_good_requests(port))
    tally, memory = Tally(), [server.memory() if server else None]
    began = time.monotonic()
    edges = [options.first + options.count * n // ROUNDS for n in range(ROUNDS + 1)]
    for start, end in pairwise(edges):
        _round(port, options.seed, range(start, end), good, tally, began + MAX_SECONDS)
        memory.append(server.memory() if server else None)
    seconds = time.monotonic() - began
    with closing(Client(port)) as client:
        for alone in good:
            _send(client, "at the end", alone.request, alone.answer, tally)
    known = [now for now in memory if now]
    if server:
        tally.wrong += _errors(server.log()) + _trainings(json.loads(get(port, "/api/runs")[1]))
    if options.count >= ROUNDS * len(KINDS):  # else some have not been met in the first round
        tally.wrong += _growth(known)
    print(_report(options, tally, seconds, known, facts))
    return 1 if tally.wrong else 0


def _good_requests(port: int) -> Iterator[Good]:
    get(port, "/healthz")  # BenchmarkError where no one answers
    with closing(Client(port)) as client:
        for i in range(GOOD_PICTURES + GOOD_QUESTIONS):
            content = _good_picture(i) if i < GOOD_PICTURES else sensible(np.random.default_rng(i))
            request = Message(f"good request {i}", content, frozenset({200}), "ask")
            (answer,) = client.send(request)
            alone = json.loads(answer.body)
            if answer.status != 200 or not alone.get("digits", True):
                raise BenchmarkError(f"good request {i} was answered with {answer.status}: {alone}")
            yield Good(request, alone)


def _good_picture(i: int) -> bytes:
    rng = np.random.default_rng(i)
    picture = drawn_number(rng, 4) if i % 5 == 4 else drawn_digit(rng)
    kind = ("PNG", "WEBP", "PNG", "GIF")[i % 4]
    return post(as_json(encoded(picture.convert("RGB") if kind == "GIF" else picture, kind), kind.lower()))


def _round(port: int, seed: int, numbers: range, good: Sequence[Good], tally: Tally, deadline: float) -> None:
    """Send these requests, each thread the next one that is left."""
    left = iter(numbers)
    threads = [
        threading.Thread(target=_work, args=(port, seed, left, good, tally, deadline)) for _ in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _work(port: int, seed: int, left: Iterator[int], good: Sequence[Good], tally: Tally, deadline: float) -> None:
    with closing(Client(port)) as client:
        while True:
            with tally.lock:
                i = next(left, None)
            if i is None:
                return
            if time.monotonic() > deadline:
                with tally.lock:
                    tally.wrong.append(f"not done after {MAX_SECONDS:.0f} seconds")
                return
            _send(client, f"request {i}", message(seed, i), None, tally)
            if i % GOOD_AFTER == 0:
                alone = good[i // GOOD_AFTER % len(good)]
                _send(client, f"after request {i}", alone.request, alone.answer, tally)


def _send(client: Client, place: str, request: Message, alone: Any, tally: Tally) -> None:
    """Send one request, and note what is wrong with the answer; `alone` is what it must be, or None."""
    began = time.monotonic()
    try:
        answers = client.send(request)
        wrong = complaints(request, answers)
    except (OSError, http.client.HTTPException) as error:
        answers, wrong = [], [f"no answer: {error!r}"]
    seconds = time.monotonic() - began
    if alone and answers and answers[0].status == 200 and not _alike(json.loads(answers[0].body), alone):
        wrong.append("another answer than it got alone")
    with tally.lock:
        tally.good += alone is not None
        tally.statuses.update([str(answer.status) for answer in answers] or [f"none ({request.manner})"])
        tally.wrong += [f"{place}, {request.kind}: {text}" for text in wrong]
        if request.manner == "ask":
            tally.slowest = max(tally.slowest, (seconds, f"{place}, {request.kind}"))


def _alike(one: Any, other: Any) -> bool:
    """Whether two answers say the same. Kernels that are not compiled at first round differently."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[k], other[k]) for k in one if k != "milliseconds")
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-5)
    return bool(one == other)


def _trainings(overview: dict[str, Any]) -> list[str]:
    """What was trained, which nobody may have asked for."""
    names = [run["name"] for run in overview["runs"]]
    if names == [RUN] and overview["training"]["running"] is None:
        return []
    return [f"there was a training: {', '.join(names)}"]


def _errors(log: str) -> list[str]:
    """What the server has logged and should not have met."""
    lines = [
        line
        for line in log.splitlines()
        if any(word in line for word in ("Error", "Exception", "exception", "Warning"))
    ]
    return [f"the server's log tells of {len(lines)} errors, the first: {lines[0][:300]}"] if lines else []


def _growth(memory: Sequence[dict[str, float]]) -> list[str]:
    """Whether there is more at the end than after the first round."""
    if len(memory) < 2 or memory[-1]["VmRSS"] - memory[1]["VmRSS"] <= GROWTH:
        return []
    return [f"memory grew from {memory[1]['VmRSS']:.0f} MB after the first round to {memory[-1]['VmRSS']:.0f} MB"]


def _report(
    options: argparse.Namespace,
    tally: Tally,
    seconds: float,
    memory: Sequence[dict[str, float]],
    facts: dict[str, str],
) -> str:
    count, wrong = options.count, tally.wrong
    lines = [
        f"{count:,} hostile requests with seed {options.seed} and {tally.good:,} good ones among them over "
        f"{CONNECTIONS} connections in {seconds:.0f} s\n",
        "| answer | times |",
        "| --- | ---: |",
        *(f"| {status} | {times:,} |" for status, times in sorted(tally.statuses.items())),
        "",
        f"- slowest answer: {tally.slowest[0]:.2f} s, {tally.slowest[1]}",
    ]
    taken = [round(now["VmRSS"]) for now in memory]
    if taken:
        lines.append(
            f"- memory of the server: {taken[0]} MB at the start, {taken[1]} after the first {count // ROUNDS:,} "
            f"requests, then {', '.join(map(str, taken[2:]))}; {memory[-1]['VmHWM']:.0f} MB at most"
        )
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines.append(
        f"- wrong: {len(wrong) or 'nothing'}" + (f", the first {MAX_SHOWN}:" if len(wrong) > MAX_SHOWN else "")
    )
    lines += [f"  - {text}" for text in wrong[:MAX_SHOWN]]
    if wrong:
        lines.append(f"\nRequest i alone: --seed {options.seed} --first i --count 1")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.hostile", description="Send the demo requests that mean no good."
    )
    parser.add_argument("--count", type=whole_number(1, 10**9), default=10_000, metavar="N", help="(default: 10,000)")
    parser.add_argument("--seed", type=whole_number(0, 2**32), default=0, metavar="N", help="(default: 0)")
    parser.add_argument("--first", type=whole_number(0, 10**9), default=0, metavar="N", help="begin with this request")
    parser.add_argument("--url", type=_local, help="a server that runs on this machine; default: start one")
    return parser


def _local(text: str) -> SplitResult:
    url = urlsplit(text)
    if url.scheme != "http" or url.hostname != HOST or url.port is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form http://{HOST}:5000/: only this machine is attacked"
        )
    return url


if __name__ == "__main__":
    sys.exit(main())
