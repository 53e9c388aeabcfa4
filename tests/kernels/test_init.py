"""Whether there are kernels, what they replace, and what happens without them."""

import os
import subprocess
import sys

import numpy as np
import pytest

from nncore import kernels
from nncore.data.augment import thicken, warp
from nncore.data.strokes.synthetic import draw_strokes
from nncore.kernels import accelerated
from nncore.optimizers import adam

needs_kernels = pytest.mark.skipif(not kernels.available(), reason="needs Numba")
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def in_a_new_process(program, *arguments, **environment):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, check=True, timeout=300, capture_output=True, text=True).stdout


def arguments(function, rng):
    images = rng.integers(0, 256, (17, 28, 28), dtype=np.uint8)
    points, radius = rng.uniform(0, 28, (9, 12, 2)), rng.uniform(1, 3, (9, 12))
    return {
        "adam": (*rng.random((4, 2**18), np.float32), (0.9, 0.999), 0.01, 1e-8, 3),
        "warp": (images, rng.normal(IDENTITY, 0.2, (17, 2, 3)), rng.normal(0, 1, (17, 2, 7, 7))),
        "thicken": (images, rng.uniform(-1, 1, 17)),
        "draw_strokes": (*(a.astype(np.float32) for a in (points, radius, radius[:, 0])), 28),
    }[function.__name__]


@needs_kernels
@pytest.mark.parametrize("function", [adam, warp, thicken, draw_strokes])
def test_what_is_accelerated_computes_what_its_definition_does(rng, function):
    given = arguments(function, rng)
    fast, plain = ([np.copy(a) if isinstance(a, np.ndarray) else a for a in given] for _ in range(2))
    results = function(*fast), function.__wrapped__(*plain)
    ours, theirs = results if results[0] is not None else (fast[0], plain[0])  # adam works in place
    if ours.dtype == np.uint8:  # rounded from what differs in the last digit
        assert np.abs(ours.astype(int) - theirs).max() <= 1
        assert (ours != theirs).mean() < 0.001
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_definition_computes_where_there_are_no_kernels(monkeypatch):
    monkeypatch.setattr(kernels, "available", lambda: False)

    @accelerated("nowhere")
    def twice(x):
        """Two times x."""
        return 2 * x

    assert twice(4) == 8
    assert twice.__doc__ == "Two times x."


IMPORTS = """
import sys
import nncore
assert "numpy" not in sys.modules
import nncore.cli, nncore.network.models, nncore.network.fusion, nncore.reading.reader
from nncore import Dense, Sequential, kernels
assert "numba" not in sys.modules and not kernels.imported()
Sequential([Dense(3)], (4,)).predict(nncore.network.sequential.np.zeros((1, 4)))
assert "numba" in sys.modules and kernels.imported()
try:
    nncore.Nothing
except AttributeError as error:
    assert "module 'nncore' has no attribute 'Nothing'" in str(error)
assert set(nncore.__all__) >= {"Conv2D", "Sequential", "SoftmaxCrossEntropy"}
assert all(getattr(nncore, name).__name__ == name for name in nncore.__all__)
"""


@needs_kernels
def test_numba_is_imported_when_a_kernel_is_first_needed():
    in_a_new_process(IMPORTS)


SMALL_NETWORK = """
import sys
import numpy as np
if sys.argv[1] == "missing":
    sys.modules["numba"] = None  # importing it now raises ImportError
from nncore import AvgPool2D, BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Sequential, kernels
assert kernels.available() == (sys.argv[1] == "present")
layers = [Conv2D(3, 3, padding="same"), BatchNorm(), ReLU(), MaxPool2D(2), Conv2D(4, (2, 3), 2, 1), AvgPool2D(2, 1)]
network = Sequential([*layers, Dropout(0.3), Flatten(), Dense(5)], (9, 8, 2), seed=3, dtype=np.float64)
x = np.sin(np.arange(4 * 9 * 8 * 2.0)).reshape(4, 9, 8, 2)
y = network.forward(x, training=True)
network.backward(np.cos(np.arange(20.0)).reshape(4, 5))
np.savez(sys.argv[2], y=y, predicted=network.predict(x), **network.gradients(), **network.state())
"""


@needs_kernels
def test_without_numba_everything_gives_the_same_numbers(tmp_path):
    results = {}
    for name, numba, disable in (("jit", "present", "0"), ("no-jit", "off", "1"), ("none", "missing", "0")):
        path = tmp_path / f"{name}.npz"
        in_a_new_process(SMALL_NETWORK, numba, str(path), NUMBA_DISABLE_JIT=disable)
        results[name] = dict(np.load(path))
    assert len(results["jit"]) == 2 + 8 + 3
    for name, expected in results["jit"].items():
        assert expected.any()
        # The two others run the layers' own code; the kernels add up in another order.
        np.testing.assert_array_equal(results["no-jit"][name], results["none"][name])
        np.testing.assert_allclose(results["no-jit"][name], expected, rtol=1e-12, atol=1e-12)
