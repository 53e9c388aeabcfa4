"""What is measured: training steps, predictions, an epoch of MNIST, their memory, and a process's first answer."""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.compare.contest import Contender, Contest, compare, environment, python_of, started
from benchmarks.compare.environment import say
from benchmarks.compare.networks import NETWORKS, unsettle, write, write_batches
from benchmarks.compare.protocol import ROOT, BenchmarkError, Floats, memory_of, without_steering
from benchmarks.compare.report import Measurement, Outcome
from benchmarks.compare.systems import System
from nncore.data.dataset import load_dataset
from nncore.errors import DataError

SIZES = {"training": (32, 128, 512), "inference": (1, 128, 1000)}
MEASURED = {"training": 128, "inference": 1000}  # images in a batch when memory is read
BATCHES = 4  # different ones, worked on in turn


@dataclass
class Bench:
    """One run of the benchmark, and what it has found so far. Of the systems it is given, the first is nncore.

    Attributes:
        folder: for networks and batches, which are temporary.
        rounds, seconds: how many turns each has, and how long one is.
    """

    folder: Path
    threads: int
    rounds: int
    seconds: float
    outcome: Outcome = field(default_factory=Outcome)

    def network(self, name: str) -> Path:
        """The folder of a network, which is written the first time."""
        folder = self.folder / name
        if not folder.exists():
            network = NETWORKS[name]()
            unsettle(network)
            write(network, folder)
        return folder

    def batches(self, name: str, size: int) -> Path:
        """A file of batches for a network, written the first time."""
        path = self.folder / f"{name}-{size}.npz"
        if not path.exists():
            write_batches(path, NETWORKS[name](), BATCHES, size)
        return path

    def measure(self, task: str, systems: Sequence[System], name: str, sizes: Sequence[int] = ()) -> None:
        """Training steps or predictions with one network, in batches of several sizes, and the memory taken."""
        say(f"\n{task}, {name}:")
        with Contest(task, systems, self.threads, self.network(name)) as contest:
            for size in sizes or SIZES[task]:
                say(f"{size} images at a time: {self.rounds} rounds after one to warm up ...")
                contest.load(self.batches(name, size))
                for program, rounds in contest.take_turns(self.rounds, self.seconds).items():
                    if size == 1:
                        self.add(task, name, "1 image, median", program, "ms", [1e3 * median(r) for r in rounds])
                        p99 = [1e3 * float(np.quantile(r, 0.99)) for r in rounds]
                        self.add(task, name, "1 image, 99 % within", program, "ms", p99)
                    else:
                        speed = [size * len(r) / sum(r) for r in rounds]
                        self.add(task, name, f"{size} images", program, "images/s", speed)
                if size == MEASURED[task]:
                    self._read_memory(contest, name, f"{task}, {size} images")
            self._conclude(contest, f"{task}, {name}")

    def epoch(self, systems: Sequence[System], name: str, batch_size: int = 128) -> None:
        """One epoch of MNIST by wall clock; what is compiled for batches of this size was compiled before."""
        say(f"\none epoch of MNIST, {name}:")
        try:
            mnist = load_dataset("mnist")
        except DataError as error:
            self.outcome.left_out["an epoch of MNIST"] = str(error)
            return
        data = self.folder / "mnist.npz"
        np.savez(data, images=mnist.train_images, labels=mnist.train_labels)
        with Contest("training", systems, self.threads, self.network(name)) as contest:
            contest.load(self.batches(name, batch_size))
            contest.take_turns(rounds=0, seconds=0)

            def train(contender: Contender) -> None:
                answer = contender.worker.ask("epoch", data=str(data), batch_size=batch_size)
                job = f"{len(mnist.train_images):,} images"
                self.add("an epoch of MNIST", name, job, contender.system.name, "s", answer["seconds"])

            contest.each(train)
            self._read_memory(contest, name, "an epoch of MNIST")
            self._conclude(contest, f"an epoch of MNIST, {name}")

    def start(self, systems: Sequence[System], name: str) -> None:
        """A process's first prediction: from its start to its end it loads a network and predicts one image.

        What is compiled, or kept in a form of the program's own, was so before. BenchmarkError if nncore fails.
        """
        say(f"\nfirst prediction in a new process, {name}:")
        network, image = self.network(name), self.folder / "image.npy"
        with np.load(self.batches(name, 1)) as file:
            np.save(image, file["images"][0])
        seconds: dict[str, list[float]] = {}
        expected: dict[str, Floats] = {}
        able = []
        for system in [system for system in systems if "start" in system.tasks]:
            try:
                with started(system, self.threads) as worker:
                    worker.ask("prepare", variant=system.variant, threads=self.threads, network=str(network))
                logits = {"logits": _first_answer(system, self.threads, network, image)}
                expected = expected or logits
                compare(system.name, expected, logits)
                able.append(system)
            except BenchmarkError as error:
                if system is systems[0]:
                    raise
                self._leave_out(system.name, f"start, {name}", str(error))
        for _ in range(self.rounds):
            for system in able:
                began = time.perf_counter()
                _first_answer(system, self.threads, network, image)
                seconds.setdefault(system.name, []).append(time.perf_counter() - began)
        for program, times in seconds.items():
            self.add("first prediction in a new process", name, "1 image", program, "s", times)

    def add(self, task: str, network: str, job: str, program: str, unit: str, values: list[float]) -> None:
        """Note one figure."""
        self.outcome.measurements.append(Measurement(task, network, job, program, unit, values))

    def _read_memory(self, contest: Contest, network: str, job: str) -> None:
        for contender in contest.contenders:
            memory = memory_of(contender.worker.process.pid)
            if memory is not None:
                self.add("memory at most", network, job, contender.system.name, "MB", [memory["VmHWM"]])

    def _conclude(self, contest: Contest, what: str) -> None:
        def ask(contender: Contender) -> None:
            program = contender.system.name
            self.outcome.versions[program] = contender.worker.ask("versions")
            worst = self.outcome.differences.setdefault(program, {})
            for key, value in contender.differences.items():
                worst[key] = max(value, worst.get(key, 0))

        contest.each(ask)
        for program, reason in contest.left_out.items():
            self._leave_out(program, what, reason)

    def _leave_out(self, program: str, what: str, reason: str) -> None:
        self.outcome.left_out[f"{program} ({what})"] = reason.removeprefix(f"{program}: ")


def _first_answer(system: System, threads: int, network: Path, image: Path) -> Floats:
    """The logits from a new process, which ends with them."""
    command = [str(python_of(system)), "-m", f"benchmarks.compare.first.{system.module}"]
    command += [str(network), str(image), str(threads)]
    done = subprocess.run(
        command, cwd=ROOT, env=without_steering(environment(system, threads)), capture_output=True, text=True
    )
    if done.returncode:
        raise BenchmarkError(f"{system.name}: {done.stderr.strip().splitlines()[-1:]}")
    return np.array(json.loads(done.stdout), np.float32)
