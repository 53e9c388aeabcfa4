"""One training at a time, in a process of its own, which ends with the server."""

import subprocess
import sys
import threading
from pathlib import Path

from nncore.errors import NNCoreError
from nncore.training.options import Options
from nncore.training.recorder import read_status, set_status
from nncore.training.run import Run
from webdemo.runs.child import INTERRUPTED

CHILD = Path(__file__).with_name("child.py")
OUTPUT = "output.txt"  # what train_scratch.py prints, in the run's folder
PATIENCE = 10.0  # seconds that a training has to save itself when the server ends


class BusyError(Exception):
    """There is a training already, or none: the message says which."""


class Trainer:
    """Starts trainings whose runs are folders in `runs`, and stops them. Any thread may call.

    Attributes:
        stopping: whether the training that runs was asked to stop.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.stopping = False
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._name = ""

    @property
    def running(self) -> str | None:
        """The name of the run that is being trained, if any."""
        with self._lock:
            return self._running()

    def start(self, options: Options) -> str:
        """Begin a run; its name. Raises BusyError, and NNCoreError where no folder can be made."""
        with self._lock:
            self._check_idle()
            return self._launch(Run.create(options, self.runs).folder)

    def go_on(self, name: str) -> str:
        """Go on with a run that was stopped. Raises BusyError."""
        with self._lock:
            self._check_idle()
            return self._launch(self.runs / name)

    def stop(self) -> str:
        """Ask the training to stop, which takes it a moment; the run's name. Raises BusyError if there is none."""
        with self._lock:
            name = self._running()
            if name is None:
                raise BusyError("no training runs that was started from this page")
            self._close_input()
            return name

    def close(self) -> None:
        """End the training, saved if it can be; nothing runs afterwards."""
        with self._lock:
            if self._running() is None or self._child is None:
                return
            self._close_input()
            try:
                self._child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._running()

    def _check_idle(self) -> None:
        name = self._running()
        if name is not None:
            raise BusyError(f"{name} is being trained: stop it, or wait until it is finished")

    def _launch(self, folder: Path) -> str:
        command = [sys.executable, str(CHILD), "--resume", f"{folder.parent.name}/{folder.name}"]
        set_status(folder, "training")
        with (folder / OUTPUT).open("ab") as output:
            self._child = subprocess.Popen(
                command,
                cwd=folder.parent.parent,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the server's terminal reaches the server alone
            )
        self._name, self.stopping = folder.name, False
        return folder.name

    def _close_input(self) -> None:
        self.stopping = True
        if self._child and self._child.stdin:
            self._child.stdin.close()

    def _running(self) -> str | None:
        if self._child is None:
            return None
        if self._child.poll() is None:
            return self._name
        self._close_input()
        self._note_the_end(self.runs / self._name, self._child.returncode)
        self._child, self.stopping = None, False
        return None

    def _note_the_end(self, folder: Path, code: int) -> None:
        """Where a training ended before it could write its own status, for want of data for instance."""
        try:
            status = read_status(folder)
            if status is not None and status[0] == "training":
                set_status(folder, *(("stopped", "") if code == INTERRUPTED else ("failed", _last_words(folder, code))))
        except (NNCoreError, OSError):
            pass  # the folder is gone or spoilt: the page says so


def _last_words(folder: Path, code: int) -> str:
    lines = (folder / OUTPUT).read_bytes()[-4096:].decode(errors="replace").split("\n")
    last = [line for line in lines if line.strip()][-1:]
    return last[0].removeprefix("train_scratch.py: ") if last else f"the training ended with status {code}"
