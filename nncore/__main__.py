"""python -m nncore."""

import sys

from nncore.machine import configure_threads_and_malloc

configure_threads_and_malloc()  # before NumPy is imported

from nncore.cli import main

if __name__ == "__main__":
    sys.exit(main())
