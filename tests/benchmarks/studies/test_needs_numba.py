import os
import subprocess
import sys
from pathlib import Path

import pytest

MISSING = (
    "import runpy, sys; sys.modules['numba'] = None; runpy.run_module('benchmarks.studies.{}', run_name='__main__')"
)


@pytest.mark.parametrize("name", ["steps", "roofline", "algorithms"])
@pytest.mark.parametrize("missing", [False, True], ids=["switched off", "missing"])
def test_without_numba_one_line_says_that_there_is_nothing_to_measure(name: str, missing: bool) -> None:
    how = ["-c", MISSING.format(name)] if missing else ["-m", f"benchmarks.studies.{name}"]
    environment = os.environ | ({} if missing else {"NUMBA_DISABLE_JIT": "1"})
    done = subprocess.run(
        [sys.executable, *how], cwd=Path(__file__).parents[3], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "need Numba: it is missing" in done.stderr
    assert "switched off by NUMBA_DISABLE_JIT" in done.stderr
