"""The Makefile's decisions, with Pythons that only note how they were called: nothing is downloaded."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")

# Answers `python -c` with its own path, and "makes" a .venv by copying itself; anything else is noted in `calls`.
GOOD = """#!/bin/sh
case "$1 $2" in
    "-c "*) echo "$0" ;;
    "-m venv") mkdir -p .venv/bin .venv/lib && cp "$0" .venv/bin/python && echo "venv by ${0##*/}" >>calls ;;
    *) echo "$*" >>calls; test ! -e broken ;;
esac
"""
OLD = f"""#!/bin/sh
exec '{sys.executable}' -c 'import sys; sys.version_info = (3, 8, 18); exec(sys.argv[2])' "$@"
"""
WITHOUT_VENV = f"""#!/bin/sh
exec '{sys.executable}' -c 'import sys; sys.modules["ensurepip"] = None; exec(sys.argv[2])' "$@"
"""
PYTEST = "-m pytest -n auto --dist loadfile"
INSTALL = "-m pip install --quiet --disable-pip-version-check -c constraints.txt -e .[test]"


@pytest.fixture
def checkout(tmp_path):
    """A folder with spaces in its name that holds what the Makefile looks at, and beside it a `bin` for Pythons."""
    folder = tmp_path / "a check out"
    folder.mkdir()
    for name in ("Makefile", "setup.cfg", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "rm", "cat", "touch", "awk", "mkdir", "cp", "echo"):
        (tools / name).symlink_to(shutil.which(name))
    return folder


def python(checkout, name, script):
    path = checkout.parent / "bin" / name
    path.write_text(script)
    path.chmod(0o755)


def make(checkout, *arguments):
    """Runs make with nothing of this process's environment; returns the run and what the Pythons were asked to do."""
    calls = checkout / "calls"
    calls.unlink(missing_ok=True)
    environment = {"PATH": str(checkout.parent / "bin")}
    run = subprocess.run([MAKE, *arguments], cwd=checkout, env=environment, capture_output=True, text=True)
    return run, calls.read_text().splitlines() if calls.exists() else []


def test_help_is_the_default_and_lists_every_target(checkout):
    run, _ = make(checkout)
    listed = [line.split()[1] for line in run.stdout.splitlines() if line.startswith("  make ")]
    assert listed == ["help", "train", "demo", "notebook", "test", "bench", "docs", "links", "lint", "setup"]


def test_the_second_run_installs_nothing(checkout):
    python(checkout, "python3", GOOD)
    assert make(checkout, "test")[1] == ["venv by python3", INSTALL, PYTEST]
    assert make(checkout, "test", "ARGS=-k conv")[1] == ["-m pytest -k conv"]
    assert make(checkout, "lint")[1] == ["-m ruff check", "-m ruff format --check", "-m mypy"]


@pytest.mark.parametrize("name", ["setup.cfg", "constraints.txt", "pyproject.toml"])
def test_other_requirements_are_installed(checkout, name):
    python(checkout, "python3", GOOD)
    make(checkout, "test")
    later = (checkout / ".venv" / "installed-test").stat().st_mtime + 5
    os.utime(checkout / name, (later, later))
    assert make(checkout, "test")[1] == [INSTALL, PYTEST]


def test_a_failed_install_is_tried_again(checkout):
    python(checkout, "python3", GOOD)
    (checkout / "broken").touch()
    run, calls = make(checkout, "test")
    assert run.returncode != 0
    assert calls == ["venv by python3", INSTALL]
    (checkout / "broken").unlink()
    assert make(checkout, "test")[1] == [INSTALL, PYTEST]


def test_a_half_made_venv_is_made_anew(checkout):
    python(checkout, "python3", GOOD)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").touch()
    assert make(checkout, "test")[1] == ["venv by python3", INSTALL, PYTEST]


def test_a_moved_checkout_gets_a_new_venv(checkout):
    python(checkout, "python3", GOOD)
    make(checkout, "test")
    moved = checkout.rename(checkout.parent / "moved")
    assert make(moved, "test")[1] == ["venv by python3", INSTALL, PYTEST]


def test_a_venv_whose_python_is_gone_is_made_anew(checkout):
    python(checkout, "python3", GOOD)
    make(checkout, "test")
    (checkout / ".venv" / "bin" / "python").unlink()
    assert make(checkout, "test")[1] == ["venv by python3", INSTALL, PYTEST]


@pytest.mark.parametrize("unfit", [OLD, WITHOUT_VENV])
def test_the_newest_other_python_stands_in_for_an_unfit_one(checkout, unfit):
    python(checkout, "python3", unfit)
    python(checkout, "python3.10", GOOD)
    python(checkout, "python3.12", GOOD)
    assert make(checkout, "test")[1] == ["venv by python3.12", INSTALL, PYTEST]


@pytest.mark.parametrize(
    ("script", "advice"), [(OLD, "needs Python 3.10 or newer"), (WITHOUT_VENV, "apt install python3-venv")]
)
def test_without_a_fit_python_one_line_says_what_to_install(checkout, script, advice):
    python(checkout, "python3", script)
    run, calls = make(checkout, "test")
    said, makes_own = run.stderr.splitlines()
    assert run.returncode != 0
    assert advice in said
    assert makes_own.startswith("make:")
    assert calls == []
    assert not (checkout / ".venv").exists()


def test_the_callers_python_is_the_one_used_or_an_error_that_leaves_venv_alone(checkout):
    python(checkout, "python3", GOOD)
    python(checkout, "mine", GOOD)
    assert make(checkout, "test", "PYTHON=mine")[1] == ["venv by mine", INSTALL, PYTEST]
    run, calls = make(checkout, "test", "PYTHON=absent")
    assert '"absent"' in run.stderr
    assert calls == []
    assert make(checkout, "test")[1] == [PYTEST]
