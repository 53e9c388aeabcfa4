"""How the benchmark talks with the programs it times: one JSON object a line, over their stdin and stdout.

    benchmark                                                                program
    {"command": "prepare", "variant": ..., "threads": 2, "network": FOLDER}  ->  {}
    {"command": "load", "batches": FILE}                                     ->  {}
    {"command": "gradients", "output": FILE}                                 ->  {}
    {"command": "logits", "output": FILE}                                    ->  {}
    {"command": "train", "seconds": 1.0}                                     ->  {"seconds": [0.121, ...], "loss": 2.29}
    {"command": "predict", "seconds": 1.0}                                   ->  {"seconds": [0.031, ...]}
    {"command": "epoch", "data": FILE, "batch_size": 128}                    ->  {"seconds": [15.2], "loss": 0.05}
    {"command": "versions"}                                                  ->  {"Python": "3.11.7", ...}

Networks travel as a folder (see `read_network`), arrays in `.npz` files. Both `prepare` and `load` may be sent again,
with another network or other batches. Whatever goes wrong is answered with {"error": "what went wrong"}. The opponents'
environments have no nncore in them, hence only the standard library and NumPy are imported here.
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
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
STEERING = (
    *("OPENBLAS_", "OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_", "NUMBA_", "TORCH", "ATEN_", "VECLIB_"),
    *("TF_", "XLA_", "JAX_", "THP_", "MALLOC_", "GLIBC_TUNABLES", "PYTHON"),
)
"""How the names of variables begin that change how fast a program runs, or which: programs are started without them."""

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class BenchmarkError(Exception):
    """A program cannot be installed or started, has failed, or does not compute what nncore does."""


class Layer(NamedTuple):
    """One layer as nncore has it: its name ("conv2d_1"), its class and the arguments of that, and what it takes in.

    The "padding" of a convolution is always in pixels, ((top, bottom), (left, right)).
    """

    name: str
    type: str
    settings: dict[str, Any]
    input_shape: tuple[int, ...]


class Network(NamedTuple):
    """Layers, and the arrays of all of them, "conv2d_1.kernel" and so on: parameters and running averages."""

    layers: list[Layer]
    arrays: dict[str, Floats]


def read_network(folder: Path) -> Network:
    """What `networks.write` put there: `layers.json`, and `weights.npz`, which is nncore's weights file."""
    layers = [Layer(**{**row, "input_shape": tuple(row["input_shape"])}) for row in _json(folder / "layers.json")]
    with np.load(folder / "weights.npz") as file:
        arrays = {name: file[name] for name in file.files if name != "metadata"}
    return Network(layers, {name: array for name, array in arrays.items() if array.dtype == np.float32})


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


class Program(Protocol):
    """A network in one program, made from a variant, a number of threads and the network's folder.

    Parameters and gradients have nncore's names and shapes; images are (N, H, W, C), labels (N,).
    """

    def predict(self, images: Floats) -> Floats:
        """The logits (N, classes), at prediction time."""

    def versions(self) -> dict[str, str]:
        """What the program consists of. Asked for once it has worked."""


class Trainer(Program, Protocol):
    """One that trains as well: by Adam with a learning rate of 0.001, on the mean cross-entropy."""

    def gradients(self, images: Floats, labels: Integers) -> dict[str, Floats]:
        """In training but with dropout off: "logits", and the gradient of the mean loss for every parameter."""

    def train(self, images: Floats, labels: Integers) -> float:
        """One step, dropout on. Returns the mean loss."""


def keep_to_cores(count: int) -> None:
    """Let this process use so many cores only, where the system knows how: for programs that cannot count threads.

    To be called before they start any.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


Build = Callable[[str, int, Path], Program]


class Server:
    """A program behind its commands, one method each."""

    program: Any  # a Program, or a Trainer if it is asked to train

    def __init__(self, build: Build) -> None:
        self.build = build

    def prepare(self, variant: str, threads: int, network: str) -> dict[str, Any]:
        """Builds the network of a folder."""
        self.program = None  # the memory of the one before
        self.program = self.build(variant, threads, Path(network))
        return {}

    def load(self, batches: str) -> dict[str, Any]:
        """Takes "images" (B, N, H, W, C) and "labels" (B, N): batches to work on in turn, kept in memory."""
        with np.load(batches) as file:
            self.batches = list(zip(file["images"], file["labels"], strict=True))
        self.upcoming = cycle(self.batches)
        return {}

    def gradients(self, output: str) -> dict[str, Any]:
        """Writes what the program computes in training for the first batch."""
        np.savez(output, **self.program.gradients(*self.batches[0]))
        return {}

    def logits(self, output: str) -> dict[str, Any]:
        """Writes what the program predicts for the first batch."""
        np.savez(output, logits=self.program.predict(self.batches[0][0]))
        return {}

    def train(self, seconds: float) -> dict[str, Any]:
        """Trains for a while, one step at least, and says how long each took."""
        times, loss = self._repeat(seconds, self.program.train)
        return {"seconds": times, "loss": loss}

    def predict(self, seconds: float) -> dict[str, Any]:
        """Predicts for a while, one batch at least, and says how long each took."""
        return {"seconds": self._repeat(seconds, lambda images, labels: self.program.predict(images))[0]}

    def _repeat(self, seconds: float, work: Callable[..., Any]) -> tuple[list[float], Any]:
        times: list[float] = []
        until = time.perf_counter() + seconds
        while not times or time.perf_counter() < until:
            batch = next(self.upcoming)
            began = time.perf_counter()
            result = work(*batch)
            times.append(time.perf_counter() - began)
        return times, result

    def epoch(self, data: str, batch_size: int) -> dict[str, Any]:
        """Trains once on every image (N, H, W) of bytes, as a user would: shuffled, scaled to 0..1 batch by batch."""
        with np.load(data) as file:
            images, labels = file["images"], file["labels"].astype(np.int64)
        began = time.perf_counter()
        order = np.random.default_rng(0).permutation(len(images))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            loss = self.program.train(images[chosen, :, :, np.newaxis] / np.float32(255), labels[chosen])
        return {"seconds": [time.perf_counter() - began], "loss": loss}

    def versions(self) -> dict[str, Any]:
        """Passes on what the program says."""
        versions: dict[str, str] = self.program.versions()
        return versions


def serve(build: Build) -> None:
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


def memory_of(pid: int) -> dict[str, float] | None:
    """What a process occupies now and did at most, "VmRSS" and "VmHWM" in MB; None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM")}


def without_steering(environment: Mapping[str, str]) -> dict[str, str]:
    """Our variables less those that steer speed, and these on top."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(STEERING)}
    return {**kept, **environment}


class Worker:
    """The benchmark's end of the line: a program in a process of its own, ended with the `with` block.

    Args:
        name: for messages.
        command: what starts the process. It runs in the root of the repository.
        environment: variables on top of the caller's, of which those that steer speed are taken away.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=without_steering(environment),
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
