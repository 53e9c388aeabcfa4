"""How the benchmark talks with the programs it times: one JSON object a line, over their stdin and stdout.

    benchmark                                                                 program
    {"command": "prepare", "variant": ..., "threads": 2, "data": FILE}   ->   {}
    {"command": "gradients", "output": FILE}                             ->   {}
    {"command": "train", "steps": 12}                                    ->   {"seconds": 2.31, "loss": 2.29}
    {"command": "versions"}                                              ->   {"Python": "3.11.7", ...}

Whatever goes wrong is answered with {"error": "what went wrong"}. Arrays travel in `.npz` files. The opponents'
environment has no nncore in it, hence only the standard library and NumPy are imported here.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
STEERING = (
    *("OPENBLAS_", "OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_", "NUMBA_", "TORCH", "ATEN_", "VECLIB_"),
    *("MALLOC_", "GLIBC_TUNABLES", "PYTHON"),
)
"""How the names of variables begin that change how fast a program runs, or which: programs are started without them."""

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class BenchmarkError(Exception):
    """A program cannot be installed or started, has failed, or does not compute what nncore does."""


class Program(Protocol):
    """The reference network with its Adam in one program, made from a variant, a number of threads and parameters.

    Parameters and gradients have nncore's names and shapes; images are (N, 28, 28, 1), labels (N,).
    """

    def gradients(self, images: Floats, labels: Integers) -> dict[str, Floats]:
        """With dropout off: "logits" (N, 10), and the gradient of the mean loss for every parameter."""

    def train(self, images: Floats, labels: Integers) -> float:
        """One step, dropout on. Returns the mean loss."""

    def versions(self) -> dict[str, str]:
        """What the program consists of. Asked for once it has trained."""


class Server:
    """A program behind its commands, one method each."""

    def __init__(self, build: Callable[[str, int, dict[str, Floats]], Program]) -> None:
        self.build = build

    def prepare(self, variant: str, threads: int, data: str) -> dict[str, Any]:
        """`data` holds the parameters and, as "images" and "labels", some batches to train on in turn."""
        with np.load(data) as file:
            arrays = dict(file)
        self.batches = list(zip(arrays.pop("images"), arrays.pop("labels"), strict=True))
        self.upcoming = cycle(self.batches)
        self.program = self.build(variant, threads, arrays)
        return {}

    def gradients(self, output: str) -> dict[str, Any]:
        """Writes what the program computes for the first batch."""
        np.savez(output, **self.program.gradients(*self.batches[0]))  # type: ignore[arg-type]
        return {}

    def train(self, steps: int) -> dict[str, Any]:
        """Trains and says how long it took."""
        began = time.perf_counter()
        for _ in range(steps):
            loss = self.program.train(*next(self.upcoming))
        return {"seconds": time.perf_counter() - began, "loss": loss}

    def versions(self) -> dict[str, Any]:
        """Passes on what the program says."""
        return self.program.versions()


def serve(build: Callable[[str, int, dict[str, Floats]], Program]) -> None:
    """Answer commands until stdin ends: what a program's module does when it is run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the benchmark, which then closes our stdin
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not break into the answers
    server = Server(build)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(server, request.pop("command"))(**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """The benchmark's end of the line: a program in a process of its own, ended with the `with` block.

    Args:
        name: for messages.
        command: what starts the process. It runs in the root of the repository.
        environment: variables on top of the caller's, of which those that steer speed are taken away.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        kept = {key: value for key, value in os.environ.items() if not key.startswith(STEERING)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**kept, **environment}
        )
        assert self.process.stdout is not None
        self.answers = self.process.stdout

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; BenchmarkError, naming the program, if it fails."""
        try:
            print(json.dumps({"command": command, **arguments}), file=self.process.stdin, flush=True)
            answer: dict[str, Any] = json.loads(self.answers.readline())
        except (OSError, ValueError):  # the pipe is closed, or what comes out of it is no answer
            self.process.kill()
            status = self.process.wait()
            raise BenchmarkError(f"{self.name}: its process ended (status {status}) at {command!r}") from None
        if "error" in answer:
            raise BenchmarkError(f"{self.name}: {answer['error'].splitlines()[0]}")
        return answer

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is not None:  # it may be in the middle of a long command
            self.process.kill()
        self.process.communicate()  # closes its stdin, on which it ends
