"""The opponents' Python environments, made and filled on first use: apart from nncore's and each other's."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.compare.protocol import ROOT, BenchmarkError

FOLDER = ROOT / ".venv-bench"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"


def python_with(requirements: Sequence[str], parent: Path = FOLDER) -> Path:
    """The Python of an environment in which these packages are installed. BenchmarkError if they cannot be.

    The environment has the name of the first of them: what two frameworks ask of a third package may not agree.
    """
    folder = parent / requirements[0].partition("==")[0]
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    installed = folder / "installed.txt"
    if not _succeeds([python, "-c", "import pip"]):
        say(f"making {parent.name}/{folder.name} ...")
        _run([sys.executable, "-m", "venv", "--clear", folder], f"{parent.name}/{folder.name} cannot be made")
    known = installed.read_text().split() if installed.exists() else []
    missing = [name for name in requirements if name not in known]
    if missing:
        say(f"installing {', '.join(missing)} into {parent.name}/{folder.name} ...")
        pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for name in missing:
            if name.startswith("torch==") and sys.platform == "linux":
                # Alone: its dependencies are on PyPI, and pip would try in vain to find each here
                cpu = [*pip, "--no-deps", "--retries", "1", "--extra-index-url", CPU_WHEELS, f"{name}+cpu"]
                if not _succeeds(cpu):
                    say(
                        f"{name}+cpu cannot be had from {CPU_WHEELS}: installing PyPI's instead, which brings several "
                        "GB of CUDA that are not used here"
                    )
        _run([*pip, *missing], f"{', '.join(missing)} cannot be installed into {parent.name}/{folder.name}")
        with installed.open("a") as file:
            file.writelines(f"{name}\n" for name in missing)
    return python


def say(text: str) -> None:
    """Tell how far it is; stdout is for the table alone."""
    print(text, file=sys.stderr, flush=True)


def _succeeds(command: Sequence[str | Path]) -> bool:
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def _run(command: Sequence[str | Path], failure: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        reasons = [line for line in done.stdout.splitlines() if "error" in line.lower()] or [done.stdout.strip()]
        raise BenchmarkError(f"{failure}: {reasons[-1]}")
