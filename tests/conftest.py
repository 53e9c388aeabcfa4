"""What every test may ask for."""

from nncore.machine import configure_threads_and_malloc

configure_threads_and_malloc()  # before NumPy is imported, so that workers beside each other do not spin

import os

import numpy as np
import pytest

from nncore import kernels

SEED = int(
    os.environ.setdefault("NNCORE_TEST_SEED", str(np.random.SeedSequence().entropy % 2**32))
)  # workers inherit it


def pytest_report_header() -> str:
    return (
        f"random cases: NNCORE_TEST_SEED={SEED} repeats them; kernels by {'Numba' if kernels.available() else 'NumPy'}"
    )


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers of this test's own: the same for one seed whichever tests run beside it."""
    return np.random.default_rng([SEED, *request.node.nodeid.encode()])
