"""One training at a time, which ends with the server: with a program in its place that trains nothing."""

import signal
import subprocess
import sys
import time

import pytest

from nncore.errors import NNCoreError
from nncore.training.recorder import read_status, set_status
from tests.webdemo.made_runs import quick
from webdemo.runs import child, trainer
from webdemo.runs.trainer import BusyError, Trainer

WAITS = "import os\nwhile os.read(0, 9): pass\nprint('stopped and saved')\nraise SystemExit(130)"
FAILS = "print('data: none')\nprint('train_scratch.py: there are no images\\n')\nraise SystemExit(2)"
CRASHES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
DEAF = "import time\nprint('deaf', flush=True)\ntime.sleep(60)"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    def program(text):
        path = tmp_path / "stand_in.py"
        path.write_text(text)
        monkeypatch.setattr(trainer, "CHILD", path)

    return program


@pytest.fixture
def training(tmp_path):
    (tmp_path / "runs").mkdir()
    made = Trainer(tmp_path / "runs")
    yield made
    made.close()


def wait_for(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_it_runs_stops_and_goes_on(training, stand_in):
    stand_in(WAITS)
    assert training.running is None
    name = training.start(quick(seed=3))
    folder = training.runs / name
    assert training.running == name
    assert read_status(folder) == ("training", "")
    for order in (lambda: training.start(quick()), lambda: training.go_on(name)):
        with pytest.raises(BusyError, match=f"{name} is being trained"):
            order()
    assert training.stop() == name
    assert training.stopping or training.running is None
    wait_for(lambda: training.running is None)
    assert not training.stopping
    assert read_status(folder) == ("stopped", "")
    assert (folder / "output.txt").read_text() == "stopped and saved\n"
    with pytest.raises(BusyError, match="no training runs"):
        training.stop()

    assert training.go_on(name) == name
    assert training.running == name
    training.stop()
    wait_for(lambda: training.running is None)
    assert len(list(training.runs.iterdir())) == 1


@pytest.mark.parametrize(
    ("program", "words"),
    [(FAILS, "there are no images"), (CRASHES, f"the training ended with status {-signal.SIGKILL}")],
)
def test_what_ends_without_a_word_of_its_own_is_noted(training, stand_in, program, words):
    stand_in(program)
    name = training.start(quick())
    wait_for(lambda: training.running is None)
    assert read_status(training.runs / name) == ("failed", words)


def test_what_has_a_word_of_its_own_keeps_it(training, stand_in):
    stand_in(WAITS)
    name = training.start(quick())
    set_status(training.runs / name, "finished")
    training.stop()
    wait_for(lambda: training.running is None)
    assert read_status(training.runs / name) == ("finished", "")


def test_a_folder_that_is_gone_is_no_trouble(training, stand_in):
    stand_in(WAITS)
    name = training.start(quick())
    for path in (training.runs / name).iterdir():
        path.unlink()
    (training.runs / name).rmdir()
    training.stop()
    wait_for(lambda: training.running is None)


def test_nothing_is_left_when_the_server_ends(training, stand_in, monkeypatch):
    stand_in(DEAF)
    monkeypatch.setattr(trainer, "PATIENCE", 0.2)
    name = training.start(quick())
    process = training._child
    wait_for(lambda: (training.runs / name / "output.txt").read_text() == "deaf\n")
    training.close()
    assert process.poll() == -signal.SIGKILL
    assert training.running is None
    training.close()


def test_where_no_run_can_be_made_none_is_started(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NNCoreError, match="no folder"):
        Trainer(tmp_path / "file").start(quick())


# The child itself


def test_the_end_of_its_input_is_its_ctrl_c(tmp_path):
    (tmp_path / "train_scratch.py").write_text(
        "import sys, time\nprint(sys.argv, sys.path[0], flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('saved')\n    sys.exit(130)\n"
    )
    text = f"from webdemo.runs import child; from pathlib import Path; child.ROOT = Path({str(tmp_path)!r}); child.main()"
    command = [sys.executable, "-c", text, "--resume", "runs/x"]

    def deaf() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a shell

    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=child.ROOT, preexec_fn=deaf
    ) as process:
        assert process.stdout.readline() == f"['{tmp_path}/train_scratch.py', '--resume', 'runs/x'] {tmp_path}\n"
        process.stdin.write("this is not the end")
        process.stdin.flush()
        time.sleep(0.1)
        assert process.poll() is None
        process.stdin.close()
        assert process.stdout.read() == "saved\n"
    assert process.returncode == 130
