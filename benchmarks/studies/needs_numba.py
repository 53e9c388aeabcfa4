"""To be imported first where kernels are measured: ends the process, with a line that says so, where there are none."""

import sys

from nncore.kernels import available

if not available():
    print(
        "benchmarks: this measures kernels, which need Numba: it is missing, of a version that they do not fit, or "
        "switched off by NUMBA_DISABLE_JIT",
        file=sys.stderr,
    )
    raise SystemExit(2)
