"""python -m webdemo: serve the page on this machine."""

from nncore import machine

machine.configure_threads_and_malloc()  # before NumPy is imported

# isort: split
import argparse
import logging
import os
import sys
from pathlib import Path

from nncore.errors import NNCoreError
from nncore.training.options import whole_number
from webdemo.app import WEIGHTS, create_app
from webdemo.runs.training_api import RUNS, is_loopback
from webdemo.server.http_server import make_server


def main() -> int:
    """Load the weights, then serve until Ctrl-C; the exit status is 2 where that cannot be."""
    options = _parser().parse_args()
    machine.configure_malloc_for_serving()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # else a line for each request that waits a moment
    try:
        trainings = is_loopback(options.host) or options.allow_training
        app = create_app(options.weights, options.threads, options.runs, trainings)
    except NNCoreError as error:
        print(f"webdemo: {error}", file=sys.stderr)
        return 2
    try:
        server = make_server(app, options.host, options.port)
    except OSError as error:
        place, reason = f"{options.host}:{options.port}", os.strerror(error.errno or 0)
        print(f"webdemo: cannot serve at {place} ({reason}); choose another --host or --port", file=sys.stderr)
        return 2
    print(f"draw at http://{options.host}:{server.effective_port}/  (Ctrl-C ends)", flush=True)
    try:
        server.run()
    finally:
        app.extensions["trainer"].close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m webdemo", description="Draw a digit and see it read.")
    parser.add_argument("--host", default="127.0.0.1", help="(default: 127.0.0.1: for this machine only)")
    port = whole_number(0, 65535)
    parser.add_argument("--port", type=port, default=5000, help="(default: 5000; 0 takes any that is free)")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE", help="(default: the ones that ship)")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="(default: runs, beside webdemo)")
    parser.add_argument("--allow-training", action="store_true", help="visitors from other machines may train, too")
    many, cores = whole_number(1, 1024), machine.available_threads()
    parser.add_argument(
        "--threads", type=many, default=cores, metavar="N", help=f"pictures read at the same time (default: {cores})"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
