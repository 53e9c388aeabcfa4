import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from nncore import machine
from nncore.errors import OptionError
from nncore.machine import available_threads, use_threads

ROOT = Path(__file__).parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.fixture(autouse=True)
def _all_threads_afterwards():
    yield
    use_threads(available_threads())


def in_a_new_process(program, **environment):
    """What the program prints as JSON, in a Python of its own, with these variables and none of ours that matter."""
    ours = {"OPENBLAS_THREAD_TIMEOUT", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "NUMBA_NUM_THREADS"}
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=inherited | environment, cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)


CONFIGURED = """
import json, os, sys
seen = {}
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("numpy", "numba") and name not in seen:
            seen[name] = [os.environ.get(n) for n in ("OPENBLAS_THREAD_TIMEOUT", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")]
sys.meta_path.insert(0, Watch())
from nncore.machine import configure_threads_and_malloc
assert not seen
configure_threads_and_malloc()
from nncore.kernels import available
available()
print(json.dumps(seen))
"""


def test_threads_are_told_to_sleep_before_there_are_any():
    assert in_a_new_process(CONFIGURED) == {name: ["4", "PASSIVE", "10000"] for name in ("numpy", "numba")}


def test_what_the_user_has_said_of_threads_stays():
    seen = in_a_new_process(CONFIGURED, OPENBLAS_THREAD_TIMEOUT="26", OMP_WAIT_POLICY="ACTIVE")
    assert seen == {name: ["26", "ACTIVE", None] for name in ("numpy", "numba")}


FAULTS = """
import resource
from nncore.machine import configure_threads_and_malloc
configure_threads_and_malloc()
import numpy as np
np.ones(2**23).sum()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**23).sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there is memory kept")
def test_freed_memory_is_kept_for_the_next_array():
    """Freeing 64 MiB and asking for them again takes hardly any new pages from the system."""
    assert in_a_new_process(FAULTS) < 100  # otherwise 16,384, or some 500 where the system has large pages


LARGE = """
from nncore import machine
machine.configure_threads_and_malloc()
import numpy as np
machine.configure_malloc_for_serving()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before = resident()
array = np.ones(2**23)
during = resident()
del array
print([during - before, resident() - before])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there is memory kept")
def test_a_server_hands_large_arrays_back():
    during, after = in_a_new_process(LARGE)
    assert during > 60 * 2**20
    assert after < 8 * 2**20


def test_it_does_without_mallopt(monkeypatch):
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: object())  # as in musl
    machine.configure_threads_and_malloc()
    machine.configure_malloc_for_serving()


@pytest.mark.parametrize(
    ("chosen", "threads"), [("1", 1), ("3", 3), ("", CORES), ("many", CORES), ("0", CORES), ("-1", CORES)]
)
def test_the_environment_says_how_many_threads_there_may_be(monkeypatch, chosen, threads):
    monkeypatch.setenv("NUMBA_NUM_THREADS", chosen)
    assert available_threads() == threads


@pytest.mark.parametrize("chosen", ["0", "-1", "many"])
def test_numba_does_not_see_a_number_of_threads_that_it_cannot_have(chosen):
    pytest.importorskip("numba")
    threads = "from nncore.machine import configure_threads_and_malloc as configure; configure()\n"
    threads += "import numba; print(numba.config.NUMBA_NUM_THREADS)"
    assert in_a_new_process(threads, NUMBA_NUM_THREADS=chosen) == CORES


def test_without_it_the_cores_that_this_process_may_use_count(monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert available_threads() == CORES
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5}, raising=False)
    assert available_threads() == 1
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert available_threads() == os.cpu_count()


@pytest.mark.parametrize("threads", [0, -1, available_threads() + 1, 10**9])
def test_threads_that_are_not_there_are_refused(threads):
    with pytest.raises(OptionError, match=rf"from 1 to {available_threads()}, .* not {threads}"):
        use_threads(threads)


@pytest.mark.parametrize("threads", range(1, available_threads() + 1))
def test_kernels_and_blas_use_as_many_threads_as_they_are_told(threads):
    numba = pytest.importorskip("numba")
    np.ones((300, 300)) @ np.ones((300, 300))
    use_threads(threads)
    assert numba.get_num_threads() == threads
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert pools
    assert set(pools) == {threads}


def test_without_numba_blas_is_told_all_the_same(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    use_threads(1)
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
