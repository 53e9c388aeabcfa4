"""The benchmark as a whole, with nncore as its own opponent; nothing here depends on time."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command_line
from benchmarks.compare import contest, environment, networks, report
from benchmarks.compare.protocol import BenchmarkError, read_network
from benchmarks.compare.report import Measurement, Outcome
from benchmarks.compare.systems import NNCORE, OPPONENTS, PROCESSORS, System
from nncore.layers import Conv2D, Flatten
from nncore.network.sequential import Sequential


def test_tables_show_the_median_of_paired_leads() -> None:
    def measured(program: str, job: str, unit: str, values: list[float]) -> Measurement:
        return Measurement("training", "net", job, program, unit, values)

    outcome = Outcome(
        [
            measured("ours", "8 images", "images/s", [1000, 2000, 900]),
            measured("theirs", "8 images", "images/s", [500, 4000, 300]),
            measured("ours", "1 image", "ms", [2]),
            measured("theirs", "1 image", "ms", [3]),
            measured("third", "1 image", "ms", [1]),
            Measurement("memory", "net", "training", "ours", "MB", [320.4]),
        ]
    )
    assert report.tables(outcome, "ours").splitlines() == [
        "### training: net",
        "",
        "| program | 8 images, images/s | ours's lead | 1 image, ms | ours's lead |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| ours | 1,000 (900 to 2,000) |  | 2.000 |  |",
        "| theirs | 500 (300 to 4,000) | 2.00 (0.50 to 3.00) | 3.000 | 1.50 |",
        "| third |  |  | 1.000 | 0.50 |",
        "",
        "### memory: net",
        "",
        "| program | training, MB | ours's lead |",
        "| --- | ---: | ---: |",
        "| ours | 320 |  |",
    ]


def test_notes_tell_versions_differences_and_what_is_missing() -> None:
    outcome = Outcome(
        [],
        {"ours": {"logits": 0, "gradients": 0}, "theirs": {"logits": 5e-7, "gradients": 7e-5}},
        {"ours": {"Python": "3.11"}, "theirs": {"torch": "2.13.0", "threads": "2"}},
        {"third (training)": "no compiler"},
    )
    lines = report.notes(outcome, {"processor": "Z80"}).splitlines()
    assert lines[0] == "- processor: Z80"
    assert lines[3:] == [
        "- ours: Python 3.11",
        "- theirs: torch 2.13.0, threads 2; differs from nncore by "
        "a relative 5e-07 in the logits and a relative 7e-05 in the gradients",
        "- left out: third (training): no compiler",
    ]


@pytest.mark.parametrize(("load", "busy"), [(0.2, False), (1.5, True)])
def test_a_busy_machine_is_reported(load: float, busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0, 0), raising=False)
    facts = report.machine()
    assert facts["load average at the start"].startswith(f"{load:.2f}")
    assert ("not to be relied on" in facts["load average at the start"]) == busy
    assert facts["processor"].strip()


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is installed; the commands are noted. The CPU wheels cannot be had."""
    log: list[str] = []

    def succeeds(command: list[str | Path]) -> bool:
        log.append(" ".join(map(str, command[1:])))
        return "+cpu" not in log[-1]

    monkeypatch.setattr(environment, "_succeeds", succeeds)
    monkeypatch.setattr(environment, "_run", lambda command, failure: succeeds(command))
    return log


def test_nothing_is_installed_twice(pip: list[str], tmp_path: Path) -> None:
    (tmp_path / "jax").mkdir()
    (tmp_path / "numpy").mkdir()
    assert environment.python_with(["jax==1"], tmp_path).is_relative_to(tmp_path / "jax")
    environment.python_with(["jax==1", "numpy"], tmp_path)
    environment.python_with(["jax==1", "numpy"], tmp_path)
    environment.python_with(["numpy"], tmp_path)  # has an environment of its own
    installs = [command for command in pip if "install" in command]
    assert [command.split()[-1] for command in installs] == ["jax==1", "numpy", "numpy"]


@pytest.mark.parametrize(("platform", "tried"), [("linux", True), ("darwin", False)])
def test_cuda_is_announced(
    platform: str,
    tried: bool,
    pip: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    (tmp_path / "torch").mkdir()
    environment.python_with(["torch==2.13.0", "numpy"], tmp_path)
    assert any(command.endswith("torch==2.13.0+cpu") for command in pip) == tried
    assert pip[-1].endswith("torch==2.13.0 numpy")
    assert ("GB of CUDA" in capsys.readouterr().err) == tried


def test_a_failed_installation_says_why() -> None:
    script = "print('Collecting torch'); print('ERROR: No matching distribution'); print('bye'); raise SystemExit(1)"
    with pytest.raises(BenchmarkError, match=r"^torch cannot be installed: ERROR: No matching distribution$"):
        environment._run([sys.executable, "-c", script], "torch cannot be installed")


PLAIN = {"NUMBA_DISABLE_JIT": "1"}  # nothing to compile
SMALL = ["--networks", "compact", "--rounds", "2", "--seconds", "1e-9", "--threads", "1"]


def tiny() -> Sequential:
    return Sequential([Conv2D(2, 3), Flatten()], (5, 5, 1))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small nncore that needs no Numba, and no pauses."""
    monkeypatch.setattr(contest, "PAUSE", 0)
    monkeypatch.setattr(command_line, "NNCORE", replace(NNCORE, environment=PLAIN))
    monkeypatch.setitem(networks.NETWORKS, "compact", tiny)


@pytest.mark.usefixtures("plain")
def test_whole_benchmark_with_nncore_as_its_own_opponent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = replace(NNCORE, name="twin", variant="im2col", environment=PLAIN)
    monkeypatch.setitem(OPPONENTS, "twin", twin)
    monkeypatch.setitem(OPPONENTS, "absent", replace(twin, name="absent", module="absent"))
    parts = ["--parts", "training", "inference", "start", "--opponents", "twin", "absent"]
    assert command_line.main([*SMALL, *parts, "--output", str(tmp_path / "new" / "folder")]) == 0
    shown = capsys.readouterr().out
    assert shown.strip() == (tmp_path / "new" / "folder" / "results.md").read_text().strip()
    for title in ("training", "inference", "first prediction in a new process"):
        assert f"### {title}: compact" in shown
    assert "\n| nncore | " in shown
    assert "\n| twin | " in shown
    assert "\n- left out: absent (training, compact): its process ended" in shown
    assert (tmp_path / "new" / "folder" / "training.png").read_bytes().startswith(b"\x89PNG")
    figures = json.loads((tmp_path / "new" / "folder" / "results.json").read_text())
    assert figures["settings"]["networks"] == ["compact"]
    timed = [m for m in figures["measurements"] if m["task"] != "memory at most"]
    assert {(m["task"], m["job"]) for m in timed} == {
        *(("training", f"{n} images") for n in (32, 128, 512)),
        *(("inference", job) for job in ("1 image, median", "1 image, 99 % within", "128 images", "1000 images")),
        ("first prediction in a new process", "1 image"),
    }
    assert {m["program"] for m in timed} == {"nncore", "twin"}
    assert all(len(m["values"]) == 2 and min(m["values"]) > 0 for m in timed)
    assert figures["differences"]["twin"] == {"logits": 0, "gradients": 0}
    assert figures["versions"]["twin"]["Numba"] == "not used"


@pytest.mark.usefixtures("plain")
def test_every_program_is_told_of_an_older_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, str]] = []

    def measure(bench: object, part: str, systems: Sequence[System], network: str) -> None:
        told.extend(dict(system.environment) for system in systems)

    monkeypatch.setattr(command_line.Bench, "measure", measure)
    command = [*SMALL, "--parts", "training", "--opponents", "pytorch-tuned", "--processor", "avx2"]
    assert command_line.main(command) == 1  # nothing was measured
    assert told == [{**PLAIN, **PROCESSORS["avx2"]}, {**OPPONENTS["pytorch-tuned"].environment, **PROCESSORS["avx2"]}]


@pytest.mark.usefixtures("plain")
def test_with_nobody_to_compare_the_exit_status_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(requirements: object) -> Path:
        raise BenchmarkError("torch cannot be installed: no network")

    monkeypatch.setattr(contest, "python_with", fails)
    assert command_line.main([*SMALL, "--parts", "training", "--opponents", "pytorch"]) == 1
    left_out = "- left out: PyTorch, as installed (training, compact): torch cannot be installed: no network"
    assert left_out in capsys.readouterr().out


@pytest.mark.usefixtures("plain")
def test_nncore_alone_when_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(bench: command_line.Bench, part: str, systems: Sequence[System], network: str) -> None:
        for system in systems:
            bench.add(part, network, "a job", system.name, "s", [1.0])

    monkeypatch.setattr(command_line.Bench, "measure", measure)
    assert command_line.main([*SMALL, "--parts", "training", "--opponents"]) == 0


@pytest.mark.parametrize("part", ["training", "start"])
def test_a_missing_nncore_is_an_error(
    part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "NNCORE", replace(NNCORE, module="absent"))
    assert command_line.main([*SMALL, "--parts", part, "--opponents"]) == 2
    assert "benchmarks: nncore: its process ended" in capsys.readouterr().err


@pytest.mark.usefixtures("plain")
def test_an_epoch_needs_mnist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NNCORE_DATA", str(tmp_path))
    assert command_line.main([*SMALL, "--parts", "epoch", "--opponents"]) == 1
    assert "left out: an epoch of MNIST" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flag",
    [
        *(["--seconds", bad] for bad in ("x", "-1", "0", "nan", "inf")),
        *(["--rounds", "0"], ["--threads", "0"], ["--opponents", "caffe"]),
    ],
)
def test_bad_flags(flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command_line.main(flag)
    assert stop.value.code == 2
    assert flag[0] in capsys.readouterr().err


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_networks_are_told_as_they_are(name: str, tmp_path: Path) -> None:
    network = networks.NETWORKS[name]()
    networks.unsettle(network)
    networks.write(network, tmp_path)
    told = read_network(tmp_path)
    assert [layer.name for layer in told.layers] == network.names
    assert [layer.input_shape for layer in told.layers] == network.shapes[:-1]
    first = next(layer for layer in told.layers if layer.type == "Conv2D").settings
    assert first["padding"] == ([[2, 2], [2, 2]] if name == "batchnorm" else [[0, 0], [0, 0]])
    expected = {**network.parameters(), **network.state()}
    assert told.arrays.keys() == {name for name in expected if not name.endswith("seed_and_count")}
    for key, array in told.arrays.items():
        np.testing.assert_array_equal(array, expected[key])
        assert not np.isin(array, (0, 1)).any(), key
