"""What a measurement leaves behind: tables in Markdown, figures in JSON, and under which conditions they came about.

And the flags that all of them have.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare.report import machine
from nncore.files import atomic_write
from nncore.machine import available_threads


def flags(name: str, about: str, quick: str) -> argparse.ArgumentParser:
    """The flags of `python -m benchmarks.NAME`; quick: what is left out then."""
    parser, cores = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about), available_threads()
    parser.add_argument("--threads", type=int, choices=range(1, cores + 1), default=cores, help="default: all")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help=f"write {name}.md, {name}.json and pictures there"
    )
    return parser


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns that hold numbers only are aligned to the right."""
    numbers = [not any(row[i].strip("0123456789., ") for row in rows) for i in range(len(columns))]
    lines = [columns, ["---:" if number else "---" for number in numbers], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def conditions(threads: int) -> dict[str, str]:
    """What a reader must know of this machine and this process to judge what was measured in it."""
    facts = {**machine(), "threads": str(threads)}
    if "OPENBLAS_CORETYPE" in os.environ:
        facts["OPENBLAS_CORETYPE"] = f"{os.environ['OPENBLAS_CORETYPE']}, whose instructions BLAS is kept to"
    return facts


def in_lines(facts: Mapping[str, str]) -> str:
    """Facts as a Markdown list."""
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def save(folder: Path, name: str, text: str, figures: Mapping[str, Any]) -> None:
    """Write `name`.md and `name`.json into a folder."""
    for ending, content in (("md", text + "\n"), ("json", json.dumps(figures, indent=1) + "\n")):
        with atomic_write(folder / f"{name}.{ending}") as file:
            file.write(content.encode())
