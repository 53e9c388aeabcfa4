"""How fast nncore trains and predicts, beside other programs on the same machine: python -m benchmarks, or make bench.

Tables go to stdout. With --output, a folder gets them as `results.md`, every figure as `results.json`, and pictures.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.compare.charts import draw
from benchmarks.compare.environment import say
from benchmarks.compare.figures import save
from benchmarks.compare.networks import NETWORKS
from benchmarks.compare.protocol import BenchmarkError
from benchmarks.compare.report import machine, notes, tables
from benchmarks.compare.rows import Bench
from benchmarks.compare.systems import DEFAULT_OPPONENTS, NNCORE, OPPONENTS, PROCESSORS
from nncore.errors import NNCoreError
from nncore.machine import available_threads
from nncore.training.options import positive, whole_number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status: 0, 1 if no opponent asked for could be measured, 2 after an error."""
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
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.threads, options.rounds, options.seconds)
        for part in options.parts:
            names = DEFAULT_OPPONENTS[part] if options.opponents is None else options.opponents
            older = PROCESSORS.get(options.processor, {})
            systems = [
                replace(system, environment={**system.environment, **older})
                for system in (NNCORE, *(OPPONENTS[name] for name in names))
            ]
            if part == "epoch":
                bench.epoch(systems, options.networks[0])
            elif part == "start":
                bench.start(systems, options.networks[0])
            else:
                for network in options.networks:
                    bench.measure(part, systems, network)
    outcome = bench.outcome
    settings = {
        name: getattr(options, name) for name in ("parts", "networks", "threads", "processor", "rounds", "seconds")
    }
    processor = f" as on a processor with {options.processor}," if options.processor else ""
    title = f"float32, {options.threads} threads,{processor} {options.rounds} rounds of {options.seconds:g} s in turns"
    text = f"{title}\n\n{tables(outcome, NNCORE.name)}\n\n{notes(outcome, facts)}"
    print(text)
    if options.output:
        save(options.output, "results", text, {"settings": settings, "machine": facts, **asdict(outcome)})
        draw(outcome.measurements, NNCORE.name, options.output)
        say(f"tables, figures and pictures are in {options.output}")
    asked_for_others = options.opponents != []
    return 0 if len({measurement.program for measurement in outcome.measurements}) > asked_for_others else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Time nncore's training and predictions beside other programs'."
    )
    parser.add_argument(
        "--parts", nargs="+", choices=DEFAULT_OPPONENTS, default=[*DEFAULT_OPPONENTS], help="default: all"
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="default: all")
    help = "default: the best configurations, for each part; empty: nncore alone. Those asked for are installed into "
    help += ".venv-bench on first use, which takes minutes and up to 1.6 GB each"
    parser.add_argument("--opponents", nargs="*", choices=OPPONENTS, help=help)
    parser.add_argument("--rounds", type=whole_number(1, 1000), default=4, metavar="N", help="turns (default: 4)")
    parser.add_argument("--seconds", type=positive, default=0.5, metavar="X", help="a turn's length (default: 0.5)")
    cores = available_threads()
    parser.add_argument("--threads", type=int, choices=range(1, cores + 1), default=cores, help="default: all")
    help = "what a processor has at most, for all that can be told so (ONNX Runtime cannot); default: what this one has"
    parser.add_argument("--processor", choices=PROCESSORS, help=help)
    parser.add_argument("--quick", action="store_true", help="a short look: 2 rounds of 0.3 s")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="for results.md, results.json and pictures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
