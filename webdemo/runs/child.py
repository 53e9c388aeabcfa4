"""train_scratch.py in a process of its own, which stops, saved, as by Ctrl-C, when its standard input ends.

Whoever started it ends that by closing it, or by dying, however suddenly: no training is left behind.
"""

import os
import runpy
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
INTERRUPTED = 130


def stop_when_input_ends() -> None:
    """Wait for that, and press Ctrl-C."""
    with suppress(OSError):
        while os.read(0, 1024):
            pass
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Run the script with this process's arguments."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are deaf to it
    if hasattr(os, "nice"):
        os.nice(5)  # the page comes first
    threading.Thread(target=stop_when_input_ends, daemon=True).start()
    sys.path[0] = str(ROOT)
    try:
        runpy.run_path(str(ROOT / "train_scratch.py"), run_name="__main__")
    except KeyboardInterrupt:  # before the script could take care of it
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
