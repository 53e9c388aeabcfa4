import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nncore import cli, evaluation, gradcheck, kernels
from nncore.data.idx import write_idx
from nncore.data.mnist import FILES
from nncore.gradcheck import SUBJECTS, TOLERANCE, Check
from nncore.layers import Dense, Flatten
from nncore.machine import available_threads
from nncore.network.models import MODELS, compact
from nncore.network.sequential import Sequential
from nncore.optimizers import Adam
from nncore.reading.reader import DigitReader
from nncore.reading.verdict import candidates
from nncore.training import warmup

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(capsys):
    """Run a command: (exit status, stdout, stderr)."""

    def run(*arguments):
        capsys.readouterr()
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            status = stop.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def weights(tmp_path):
    compact(seed=2).save(tmp_path / "compact.npz", {"seed": 2, "versions": {"python": "3"}})
    return tmp_path / "compact.npz"


def assert_refused(outcome, *words):
    """Status 2, nothing on stdout, and one line on stderr with these words."""
    status, out, err = outcome
    assert (status, out) == (2, "")
    assert err.startswith("nncore: ")
    assert err.count("\n") == 1
    for word in words:
        assert str(word) in err


# Help


def test_help_names_every_command(run):
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    for command in ("gradcheck", "summary", "warmup", "evaluate", "predict"):
        assert f"\n    {command}" in out
        status, text, _ = run(command, "--help")
        assert status == 0
        assert text.startswith(f"usage: python -m nncore {command} ")
        assert max(map(len, text.splitlines())) <= 100
    assert "train_scratch.py" in out


def test_the_package_is_the_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "nncore", "summary", "compact"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (compact().summary() + "\n", "")
    done = subprocess.run(
        [sys.executable, "-m", "nncore", "summary", "nothing.npz"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nncore: there is no weights file nothing.npz")


@pytest.mark.parametrize("arguments", [[], ["train"], ["evaluate"], ["predict", "w.npz"], ["gradcheck", "--seed=-1"]])
def test_what_is_no_command_gets_status_2_and_a_line(run, arguments):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "error: " in err.splitlines()[-1]


# gradcheck


def test_gradcheck_prints_a_line_for_each_gradient(run):
    status, out, err = run("gradcheck", "Dense", "MeanSquaredError", "--seed", "5")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:-3]] == ["Dense"] * 5 + ["MeanSquaredError"]
    assert lines[-2] == "6 gradients checked, 0 wrong"
    checks = [check for name in ("Dense", "MeanSquaredError") for check in gradcheck.check(name, seed=5)]
    assert lines[-1] == f"worst relative error {max(c.worst for c in checks):.1e}, allowed {TOLERANCE:g}"
    for line, check in zip(lines[1:-3], checks, strict=True):
        errors = [check.written] if check.trained is None else [check.written, check.trained]
        assert line.split()[-len(errors) :] == [f"{error:.1e}" for error in errors]


def test_gradcheck_without_names_checks_everything(run, monkeypatch):
    asked = []

    def check(subject, seed):
        asked.append((subject, seed))
        return [Check(subject, "case", "x", 1e-9, None)]

    monkeypatch.setattr(gradcheck, "check", check)
    status, out, _ = run("gradcheck")
    assert status == 0
    assert asked == [(subject, 0) for subject in SUBJECTS]
    assert f"{len(SUBJECTS)} gradients checked, 0 wrong" in out
    assert "worst relative error 1.0e-09" in out


@pytest.mark.parametrize("error", [2e-6, 1.0, float("nan")])
def test_a_wrong_gradient_gives_status_1(run, monkeypatch, error):
    wrong, right = Check("Dense", "one", "kernel", error, 1e-9), Check("Dense", "one", "x", 1e-8, 1e-9)
    monkeypatch.setattr(gradcheck, "check", lambda subject, seed: [right, wrong, right])
    status, out, _ = run("gradcheck", "Dense")
    assert status == 1
    assert [line.endswith("WRONG") for line in out.splitlines()[1:4]] == [False, True, False]
    assert "3 gradients checked, 1 wrong" in out
    assert f"worst relative error {error:.1e}" in out


def test_gradcheck_of_an_unknown_name_lists_the_known_ones(run):
    status, _, err = run("gradcheck", "Conv3D")
    assert status == 2
    assert err.startswith("nncore: cannot check 'Conv3D': choose among Conv2D, ")
    assert all(name in err for name in SUBJECTS)


def test_ctrl_c_is_no_traceback(run, monkeypatch):
    def check(subject, seed):
        raise KeyboardInterrupt

    monkeypatch.setattr(gradcheck, "check", check)
    status, _, err = run("gradcheck", "Dense")
    assert (status, err) == (130, "")


# summary


@pytest.mark.parametrize("name", MODELS)
def test_summary_of_a_named_network(run, name):
    assert run("summary", name) == (0, MODELS[name]().summary() + "\n", "")


def test_summary_of_a_file_tells_how_it_was_made(run, weights):
    status, out, err = run("summary", weights)
    assert (status, err) == (0, "")
    table, _, note = out.partition("\nmade by: ")
    assert table == compact().summary()
    assert json.loads(note) == {"seed": 2, "versions": {"python": "3"}}


def test_summary_of_a_file_that_does_not_say_how_it_was_made(run, tmp_path):
    Sequential([Dense(2)], (3,)).save(tmp_path / "w.npz")
    assert run("summary", tmp_path / "w.npz") == (0, Sequential([Dense(2)], (3,)).summary() + "\n", "")


def test_a_strangers_note_cannot_write_to_the_terminal(run, tmp_path):
    Sequential([Dense(2)], (3,)).save(tmp_path / "w.npz", {"\x1b[2J": "\x1b]0;title\x07", "half": "\ud800"})
    status, out, _ = run("summary", tmp_path / "w.npz")
    assert status == 0
    assert out.isascii()
    assert "\x1b" not in out
    assert "\x07" not in out


# Bad weights


@pytest.mark.parametrize("command", ["summary", "warmup", "evaluate", "predict"])
@pytest.mark.parametrize("content", [None, b"", b"text", b"PK\3\4" + bytes(100)])
def test_bad_weights_are_refused_by_every_command(run, tmp_path, command, content):
    path = tmp_path / "w.npz"
    if content is not None:
        path.write_bytes(content)
    assert_refused(run(command, path, *["picture.png"] * (command == "predict")), path)


def test_a_folder_is_no_weights_file(run, tmp_path):
    assert_refused(run("summary", tmp_path), tmp_path, "folder")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("input_shape", "units"), [((28, 28, 1), 9), ((28, 28, 3), 10), ((784,), 10), ((27, 28, 1), 10)]
)
def test_a_network_that_does_not_read_digits_is_refused(run, tmp_path, command, input_shape, units):
    path = tmp_path / "w.npz"
    Sequential([Flatten(), Dense(units)], input_shape).save(path)
    message = run(command, path, *["picture.png"] * (command == "predict"))
    assert_refused(message, path, input_shape, (units,), "(28, 28, 1) to (10,)")


# --threads


def test_commands_that_compute_take_a_number_of_threads(run, weights, monkeypatch, tmp_path):
    told = []
    monkeypatch.setattr(cli, "use_threads", told.append)
    for command in (["gradcheck", "ReLU"], ["evaluate", weights, "--data-dir", tmp_path], ["predict", weights, "none"]):
        run(*command)
        assert told == []
        run(*command, "--threads=1")
        assert told == [1]
        told.clear()
        status, _, err = run(*command, f"--threads={available_threads() + 1}")
        assert (status, told) == (2, [])
        assert f"is not a whole number from 1 to {available_threads()}" in err


# explain


def test_explain_shows_steps_of_a_training(run, data):
    status, out, err = run("explain", "--steps", "1", "--data-dir", data)
    assert (status, err) == (0, "")
    assert re.findall(r"^-+ (Step \d+) -+$", out, re.MULTILINE) == ["Step 1"]
    assert "By the rule of Adam" in out


# warmup


def test_warmup_for_predictions_and_for_training(run, weights, monkeypatch):
    called = []
    monkeypatch.setattr(kernels, "available", lambda: True)
    monkeypatch.setattr(warmup, "warm_up", lambda network, *training: called.append((network.shapes[0], *training)))
    for arguments in ([weights], ["compact"], ["compact", "--training"]):
        status, out, err = run("warmup", *arguments)
        assert (status, err) == (0, "")
        assert re.fullmatch(r"compiled in \d+\.\d s\n", out)
    (*predicting, (shape, optimizer, augmentation)) = called
    assert predicting == [((28, 28, 1),)] * 2
    assert (shape, type(optimizer), augmentation) == ((28, 28, 1), Adam, "light")


def test_warmup_has_nothing_to_compile_without_numba(run, monkeypatch):
    monkeypatch.setattr(kernels, "available", lambda: False)
    assert run("warmup", "compact") == (0, f"nothing to compile: {warmup.NO_NUMBA}\n", "")


# evaluate


@pytest.fixture
def data(tmp_path, rng):
    for name, count in zip(FILES, (7, 7, 150, 150), strict=True):
        shape, high = ((count, 28, 28), 256) if "images" in name else ((count,), 10)
        write_idx(tmp_path / "data" / name, rng.integers(0, high, shape, dtype=np.uint8))
    return tmp_path / "data"


@pytest.mark.parametrize("by_flag", [True, False])
def test_evaluate_measures_the_test_images(run, weights, data, monkeypatch, by_flag):
    monkeypatch.setenv("NNCORE_DATA", str(data.parent if by_flag else data))
    status, out, err = run("evaluate", weights, *["--data-dir", data] * by_flag)
    assert (status, err) == (0, "")
    assert out == evaluation.evaluate(DigitReader(weights), "mnist", data) + "\n"


def test_evaluate_on_something_else(run, weights, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluation, "evaluate", lambda reader, *rest: asked.append((reader.name, *rest)) or "a table")
    for name in evaluation.SETS:
        assert run("evaluate", weights, "--on", name) == (0, "a table\n", "")
    assert asked == [("compact", name, None) for name in evaluation.SETS]


def test_evaluate_on_data_that_are_not_there_or_damaged(run, weights, data, tmp_path):
    assert_refused(run("evaluate", weights, "--data-dir", tmp_path / "nowhere"), "nowhere", "lacks")
    for drawn in ("synthetic", "outliers"):
        assert_refused(run("evaluate", weights, "--data-dir", data, "--on", drawn), "leave out the folder")
    (data / "t10k-labels-idx1-ubyte.gz").write_bytes(b"text")
    assert_refused(run("evaluate", weights, "--data-dir", data), "t10k-labels")
    status, _, err = run("evaluate", weights, "--on", "cifar")
    assert status == 2
    assert all(name in err for name in evaluation.SETS)


# predict


def draw(path, stroke, size=(60, 60)):
    """A picture of black ink on white paper: a box (left, top, right, bottom), or nothing."""
    picture = Image.new("L", size, 255)
    if stroke:
        picture.paste(0, stroke)
    picture.save(path)
    return path


def test_predict_reads_each_picture(run, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("nncore.reading.reader.judge", lambda *_: "digit")
    pictures = [
        draw(tmp_path / "one.png", (28, 10, 33, 50)),
        draw(tmp_path / "blank.png", None),
        draw(tmp_path / "dash.jpg", (5, 28, 70, 35), (90, 60)),
    ]
    status, out, err = run("predict", weights, *pictures)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[1] == f"{pictures[1]}: nothing is drawn there"
    for line, path in ((lines[0], pictures[0]), (lines[2], pictures[2])):
        (reading,) = DigitReader(weights).read(path)
        listed = "  ".join(f"{digit}: {share:.1%}" for digit, share in enumerate(reading.probabilities))
        assert line == f"{path}: {reading.digit}   ({listed})"


def test_predict_reads_several_digits_of_one_picture(run, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("nncore.reading.reader.judge", lambda *_: "digit")
    picture = Image.new("L", (100, 60), 255)
    for left in (10, 45, 80):
        picture.paste(0, (left, 10, left + 6, 50))
    picture.save(tmp_path / "three.png")
    lines = run("predict", weights, tmp_path / "three.png")[1].splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"{tmp_path / 'three.png'}, digit {number} of 3" for number in (1, 2, 3)
    ]


def test_predict_says_where_it_is_not_sure(run, weights, tmp_path, monkeypatch):
    picture = draw(tmp_path / "one.png", (28, 10, 33, 50))
    (reading,) = DigitReader(weights).read(picture)
    names = " or ".join(map(str, candidates(reading.probabilities)))
    for verdict, words in (("unsure", names), ("not a digit", f"not a digit, {reading.digit} if it must be one")):
        monkeypatch.setattr("nncore.reading.reader.judge", lambda *_, verdict=verdict: verdict)
        assert run("predict", weights, picture)[1].startswith(f"{picture}: {words}   (")


def test_predict_complains_of_bad_pictures_and_goes_on(run, weights, tmp_path):
    good = draw(tmp_path / "one.png", (28, 10, 33, 50))
    text, missing = tmp_path / "text.png", tmp_path / "missing.png"
    text.write_text("not a picture")
    status, out, err = run("predict", weights, text, good, missing, tmp_path, good)
    assert status == 2
    assert [line.split(": ")[0] for line in out.splitlines()] == [str(good)] * 2
    assert [line.startswith("nncore: ") for line in err.splitlines()] == [True] * 3
    for line, path in zip(err.splitlines(), (text, missing, tmp_path), strict=True):
        assert str(path) in line


def test_predict_of_a_network_in_float64(run, tmp_path):
    compact(dtype=np.float64).save(tmp_path / "w.npz")
    assert run("predict", tmp_path / "w.npz", draw(tmp_path / "one.png", (28, 10, 33, 50)))[0] == 0


def test_a_reader_that_has_seen_enough_is_no_traceback():
    command = [sys.executable, "-m", "nncore", "gradcheck"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (141, b"")
