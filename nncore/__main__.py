"""python -m nncore."""

import sys

from nncore.cli import main

sys.exit(main())
