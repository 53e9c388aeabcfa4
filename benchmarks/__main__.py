"""How fast nncore trains and predicts, beside other programs on the same machine: python -m benchmarks, or make bench.

Tables go to stdout. With --output, a folder gets them as `results.md`, every figure as `results.json`, and pictures.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.environment import say
from benchmarks.networks import NETWORKS
from benchmarks.protocol import BenchmarkError
from benchmarks.report import machine, notes, tables
from benchmarks.rows import Bench
from benchmarks.systems import DEFAULT_OPPONENTS, EPOCH_OPPONENTS, NNCORE, OPPONENTS
from nncore.errors import NNCoreError
from nncore.files import atomic_write
from nncore.machine import available_threads
from nncore.options import whole_number

PARTS = ("training", "inference", "start", "epoch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status: 0, 1 if there was nothing to compare with, 2 after an error."""
    options = _parser().parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 2, 0.3
    try:
        return benchmark(options)
    except (BenchmarkError, NNCoreError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def benchmark(options: argparse.Namespace) -> int:
    """Measure and report."""
    facts = machine()
    say("\n".join(f"{name}: {value}" for name, value in facts.items()))
    systems = [NNCORE, *(OPPONENTS[name] for name in options.opponents)]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(systems, Path(folder), options.threads, options.rounds, options.seconds)
        for part in options.parts:
            if part == "epoch":
                bench.systems = [NNCORE, *(OPPONENTS[name] for name in options.opponents if name in EPOCH_OPPONENTS)]
                bench.epoch(options.networks[0])
                bench.systems = systems
            elif part == "start":
                bench.start(options.networks[0])
            else:
                for network in options.networks:
                    bench.measure(part, network)
    outcome = bench.outcome
    settings = {name: getattr(options, name) for name in ("parts", "networks", "threads", "rounds", "seconds")}
    title = f"float32, {options.threads} threads, {options.rounds} rounds of {options.seconds:g} s in turns"
    text = f"{title}\n\n{tables(outcome, NNCORE.name)}\n\n{notes(outcome, facts)}\n"
    print(text)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        everything = {"settings": settings, "machine": facts, **asdict(outcome)}
        for name, content in (("results.md", text), ("results.json", json.dumps(everything, indent=1))):
            with atomic_write(options.output / name) as file:
                file.write(content.encode())
        say(f"written to {options.output}")
    return 0 if len({measurement.program for measurement in outcome.measurements}) > 1 else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Time nncore's training and predictions beside other programs'."
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="default: all")
    parser.add_argument(
        "--opponents", nargs="*", choices=OPPONENTS, default=DEFAULT_OPPONENTS, help=f"default: {DEFAULT_OPPONENTS}"
    )
    parser.add_argument("--rounds", type=whole_number(1, 1000), default=4, metavar="N", help="turns (default: 4)")
    parser.add_argument("--seconds", type=float, default=0.7, metavar="X", help="a turn's length (default: 0.7)")
    cores = available_threads()
    parser.add_argument("--threads", type=int, choices=range(1, cores + 1), default=cores, help="default: all")
    parser.add_argument("--quick", action="store_true", help="a short look: 2 rounds of 0.3 s")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="for results.md, results.json and pictures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
