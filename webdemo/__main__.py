"""python -m webdemo: serve the page on this machine."""

import argparse
import logging
import sys

import waitress

from nncore.errors import NNCoreError
from webdemo.app import WEIGHTS, create_app


def main() -> int:
    """Load the weights, then serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m webdemo", description="Draw a digit and see it read.")
    parser.add_argument("--host", default="127.0.0.1", help="(default: 127.0.0.1, this machine only)")
    parser.add_argument("--port", type=int, default=5000, help="(default: 5000)")
    parser.add_argument("--weights", default=WEIGHTS, help=f"(default: {WEIGHTS})")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        app = create_app(options.weights)
    except NNCoreError as error:
        print(f"webdemo: {error}", file=sys.stderr)
        return 2
    print(f"draw at http://{options.host}:{options.port}/  (Ctrl-C ends)", flush=True)
    try:
        waitress.serve(app, host=options.host, port=options.port, threads=4, _quiet=True)
    except OSError as error:
        print(f"webdemo: port {options.port} cannot be used ({error}); choose another with --port", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
