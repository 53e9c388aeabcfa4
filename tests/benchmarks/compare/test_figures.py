import json
from pathlib import Path

import pytest

from benchmarks.compare import figures


def test_numbers_are_aligned_to_the_right() -> None:
    rows = [["conv1, 3x3", "1,024.5", ""], ["conv2", "", "7"]]
    assert figures.markdown(["what", "ms", "GFLOP/s"], rows).splitlines() == [
        "| what | ms | GFLOP/s |",
        "| --- | ---: | ---: |",
        "| conv1, 3x3 | 1,024.5 |  |",
        "| conv2 |  | 7 |",
    ]


def test_a_slower_blas_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    facts = figures.conditions(3)
    assert facts["threads"] == "3"
    assert "OPENBLAS_CORETYPE" not in facts
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert "- OPENBLAS_CORETYPE: Haswell, whose" in figures.in_lines(figures.conditions(3))


def test_both_files_are_written(tmp_path: Path) -> None:
    figures.save(tmp_path / "new", "speed", "| a |", {"a": [1, 2.5]})
    assert (tmp_path / "new" / "speed.md").read_text() == "| a |\n"
    assert json.loads((tmp_path / "new" / "speed.json").read_text()) == {"a": [1, 2.5]}
