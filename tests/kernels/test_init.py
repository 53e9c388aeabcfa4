import copy
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

from nncore import kernels
from nncore.kernels import reference

KERNELS = sorted(set(kernels.__all__) - {"NUMBA"})
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def arguments(name, rng):
    """Arguments large enough that two threads have work."""
    x = rng.standard_normal((11, 9, 10, 3)).astype(np.float32)
    window, stride, padding = (3, 2), (2, 1), ((1, 0), (0, 2))
    y, winners = reference.max_pool(x, window, stride)
    images = rng.integers(0, 256, (17, 28, 28), dtype=np.uint8)
    points, radius = rng.uniform(0, 28, (9, 12, 2)), rng.uniform(1, 3, (9, 12))
    channels = rng.random((4, 3), np.float32)
    return {
        "im2col": (x, window, stride, padding),
        "col2im": (reference.im2col(x, window, stride, padding), x.shape, window, stride, padding),
        "matmul": (rng.random((60, 257), np.float32), rng.random((257, 99), np.float32)),
        "max_pool": (x, window, stride),
        "max_pool_backward": (y, winners, x.shape, window, stride),
        "avg_pool": (x, window, stride),
        "avg_pool_backward": (y, x.shape, window, stride),
        "bias_relu": (x.copy(), x[0, 0, 0].copy()),
        "bias_relu_backward": (x[::-1].copy(), x),
        "adam": (*rng.random((4, 2**18), np.float32), 0.9, 0.999, 0.01, 1e-8, 3),
        "channel_moments": (x,),
        "batch_norm": (x, *channels, 1e-3, True),
        "batch_norm_backward": (x[::-1].copy(), x, *channels, 1e-3, True),
        "bernoulli": ((11, 1000), 0.3, int(rng.integers(2**63))),
        "warp": (images, rng.normal(IDENTITY, 0.2, (17, 2, 3)), rng.normal(0, 1, (17, 2, 7, 7))),
        "thicken": (images, rng.uniform(-1, 1, 17)),
        "draw_strokes": (*(a.astype(np.float32) for a in (points, radius, radius[:, 0])), 28),
    }[name]


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_has_a_twin_with_the_same_parameters(name):
    fast, plain = getattr(kernels, name), getattr(reference, name)
    if not kernels.NUMBA:
        assert fast is plain
        return
    assert fast is not plain
    fast = getattr(fast, "py_func", fast)  # what Numba compiled
    assert list(inspect.signature(fast).parameters) == list(inspect.signature(plain).parameters)


@pytest.mark.parametrize("name", KERNELS)
def test_the_number_of_threads_changes_no_bit(rng, name):
    numba = pytest.importorskip("numba")
    if not kernels.NUMBA or numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs Numba and two threads")
    given, before, results = arguments(name, rng), numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            results.append(getattr(kernels, name)(*copy.deepcopy(given)))  # some work in place
    finally:
        numba.set_num_threads(before)
    for one, other in zip(*(result if isinstance(result, tuple) else (result,) for result in results), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_not_there():
    with pytest.raises(AttributeError, match=r"'nncore\.kernels' has no attribute 'conv2d'"):
        _ = kernels.conv2d


FIRST_USE = """
import sys
import numpy as np
import nncore, nncore.cli, nncore.network.models, nncore.network.plan, nncore.reading.reader
from nncore import kernels
from nncore.kernels import reference
from nncore.kernels.conv import choose as convolution
assert "numba" not in sys.modules, "imported too early"

x = np.sin(np.arange(2 * 9 * 9 * 3, dtype=np.float32)).reshape(2, 9, 9, 3)
shapes = (2, 9, 9, 3), (3, 3, 3, 4), (1, 1), ((0, 0), (0, 0))
with kernels.without_waiting():
    y, _ = kernels.max_pool(x, (2, 2), (2, 2))
    assert convolution.choose("auto", *shapes) is convolution.IM2COL
    assert kernels.max_pool is reference.max_pool and "numba" not in sys.modules
    try:
        kernels.conv2d
    except AttributeError:
        pass
np.testing.assert_array_equal(kernels.max_pool(x, (2, 2), (2, 2))[0], y)
assert kernels.max_pool is not reference.max_pool and "numba" in sys.modules
assert convolution.choose("auto", *shapes) is convolution.available()[convolution.cheapest(*shapes)]
for name in kernels.__all__:
    getattr(kernels, name)
with kernels.without_waiting():
    assert kernels.max_pool is not reference.max_pool  # what is there is used
"""


def test_numba_is_imported_when_a_kernel_is_first_used():
    if not kernels.NUMBA:
        pytest.skip("needs Numba")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", FIRST_USE], env=environment, check=True, timeout=300)


SMALL_NETWORK = """
import sys
import numpy as np
if sys.argv[1] == "missing":
    sys.modules["numba"] = None  # importing it now raises ImportError
from nncore import AvgPool2D, BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Sequential, kernels
assert kernels.NUMBA == (sys.argv[1] == "present")
layers = [Conv2D(3, 3, padding="same"), BatchNorm(), ReLU(), MaxPool2D(2), Conv2D(4, (2, 3), 2, 1), AvgPool2D(2, 1)]
network = Sequential([*layers, Dropout(0.3), Flatten(), Dense(5)], (9, 8, 2), seed=3, dtype=np.float64)
x = np.sin(np.arange(4 * 9 * 8 * 2.0)).reshape(4, 9, 8, 2)
y = network.forward(x, training=True)
dx = network.backward(np.cos(np.arange(20.0)).reshape(4, 5))
np.savez(sys.argv[2], y=y, dx=dx, predicted=network.predict(x), **network.gradients(), **network.state())
"""


def test_without_numba_everything_gives_the_same_numbers(tmp_path):
    pytest.importorskip("numba")
    results = {}
    for name, numba, disable in (("jit", "present", "0"), ("no-jit", "off", "1"), ("none", "missing", "0")):
        path = tmp_path / f"{name}.npz"
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disable, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", SMALL_NETWORK, numba, path]
        subprocess.run(command, env=environment, check=True, timeout=300)
        results[name] = dict(np.load(path))
    assert len(results["jit"]) == 3 + 8 + 3
    for name, expected in results["jit"].items():
        assert expected.any()
        # The plain twins of the two others are the same code; the kernels add up in another order.
        np.testing.assert_array_equal(results["no-jit"][name], results["none"][name])
        np.testing.assert_allclose(results["no-jit"][name], expected, rtol=1e-12, atol=1e-12)
