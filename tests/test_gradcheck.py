import numpy as np
import pytest

from nncore import gradcheck, kernels
from nncore.cli import main
from nncore.errors import OptionError, ShapeError
from nncore.gradcheck import (
    Check,
    away_from_kinks,
    by_element,
    by_projection,
    check,
    check_layer,
    fused_networks,
    relative_error,
    slope,
)
from nncore.layers import LAYERS, BatchNorm, Conv2D, Dense, MaxPool2D
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.fusion import layers_of, patterns

QUICK = [subject for subject in gradcheck.SUBJECTS if subject != "reference"]


@pytest.mark.parametrize("subject", [*QUICK, pytest.param("reference", marks=pytest.mark.slow)])
def test_every_gradient_is_right(rng, subject):
    checks = check(subject, seed=int(rng.integers(2**31)))
    assert checks
    assert not [c for c in checks if not c.passed]


def test_every_layer_and_every_fused_step_is_checked():
    assert set(gradcheck.LAYER_CASES) == set(LAYERS)
    if kernels.available():
        kinds = {tuple(map(type, layers_of(step))) for net in fused_networks().values() for step in net.steps}
        alone = {(LAYERS[name],) for name in gradcheck.LAYER_CASES}
        assert {pattern for pattern, _ in patterns()} <= kinds | alone


def scaled(backward, factor):
    return lambda self, *arguments: factor * backward(self, *arguments)


@pytest.mark.parametrize("factor", [1.0001, -1, 0, float("nan")])
@pytest.mark.parametrize("kind", [Dense, Conv2D, MaxPool2D, BatchNorm, SoftmaxCrossEntropy])
def test_a_wrong_gradient_is_found_and_the_command_says_so(monkeypatch, capsys, kind, factor):
    assert main(["gradcheck", kind.__name__]) == 0
    assert "WRONG" not in capsys.readouterr().out
    monkeypatch.setattr(kind, "backward", scaled(kind.backward, factor))
    assert main(["gradcheck", kind.__name__, "--seed", "5"]) == 1
    printed = capsys.readouterr().out
    assert "WRONG" in printed
    assert " 0 wrong" not in printed


def test_one_wrong_number_among_many_is_found(monkeypatch, capsys):
    backward = Dense.backward

    def nearly(self, dy):
        dx = backward(self, dy)
        self.gradients["kernel"][-1, -1] *= 1.01
        return dx

    monkeypatch.setattr(Dense, "backward", nearly)
    assert main(["gradcheck", "Dense"]) == 1
    wrong = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    assert [line.split("to")[1].split()[1] for line in wrong if "7 to 4" in line] == ["kernel"]


def test_a_gradient_that_backward_forgets_is_found(monkeypatch):
    backward = Dense.backward

    def forgetful(self, dy):
        dx = backward(self, dy)
        self.gradients.pop("bias", None)
        return dx

    monkeypatch.setattr(Dense, "backward", forgetful)
    assert [c.array for c in check("Dense") if not c.passed] == ["bias"]
    assert [c.array for c in check("compact") if not c.passed] == ["dense_1.bias", "dense_2.bias"]


def test_a_gradient_of_another_shape_is_named(monkeypatch):
    backward = Dense.backward

    def transposed(self, dy):
        dx = backward(self, dy)
        self.gradients["kernel"] = self.gradients["kernel"].T
        return dx

    monkeypatch.setattr(Dense, "backward", transposed)
    with pytest.raises(ShapeError, match=r"backward gives dense_1.kernel \(7, 4\) gradients of shape \(4, 7\)"):
        check("Dense")


def test_checking_leaves_the_layer_as_it_was(rng):
    layer = Dense(3)
    check_layer("a case", layer, (4,), rng)
    before = {name: array.copy() for name, array in layer.parameters.items()}
    layer.forward(rng.standard_normal((2, 4)), training=True)
    layer.backward(rng.standard_normal((2, 3)))
    for name, array in layer.parameters.items():
        np.testing.assert_array_equal(array, before[name])


def test_slope_and_errors_of_a_known_function(rng):
    x, direction = rng.standard_normal((2, 3, 2))
    before = x.copy()

    def cubes():
        return float((x**3).sum())

    gradient = 3 * x**2
    assert slope(cubes, x, direction, 1e-5) == pytest.approx(np.vdot(gradient, direction), rel=1e-7)
    both = [gradient, 1.1 * gradient]
    for right, wrong in (by_projection(cubes, x, both, rng, 1e-5), by_element(cubes, x, both, 1e-5)):
        assert right < 1e-8
        assert wrong == pytest.approx(0.1 / 2.1, rel=1e-5)
    np.testing.assert_array_equal(x, before)


def test_relative_error():
    assert relative_error(np.array([3.0, 4.0]), np.array([3.0, 4.0])) == 0
    assert relative_error(2.0, 1.0) == pytest.approx(1 / 3)
    assert relative_error(np.zeros(3), np.zeros(3)) == 0
    assert relative_error(np.zeros(1), np.ones(1)) == 1
    assert np.isnan(relative_error(np.array([np.nan]), np.ones(1)))


@pytest.mark.parametrize(
    ("written", "trained", "passed"),
    [
        (1e-9, 1e-9, True),
        (1e-9, None, True),
        (1e-5, None, False),
        (1e-9, 1e-5, False),
        (1e-5, 1e-9, False),
        (float("nan"), 1e-9, False),
        (1e-9, float("nan"), False),
        (float("nan"), None, False),
    ],
)
def test_both_ways_must_be_right_and_a_nan_is_wrong(written, trained, passed):
    assert Check("Dense", "case", "x", written, trained).passed is passed


@pytest.mark.parametrize("shape", [(2, 5, 6, 3), (1,), (4, 10, 10)])
def test_inputs_keep_away_from_kinks(rng, shape):
    x = away_from_kinks(shape, rng)
    assert x.shape == shape
    spacing = 2 / max(50, x.size)
    assert np.diff(np.sort(np.concatenate([np.abs(x).ravel(), [0]]))).min() >= 0.99 * min(spacing, 0.02)
    assert np.diff(np.sort(x.ravel())).min(initial=1) >= 0.99 * spacing


def test_unknown_subjects(capsys):
    with pytest.raises(OptionError, match=r"cannot check 'Conv3D': choose among Conv2D, .*, reference, compact"):
        check("Conv3D")
    assert main(["gradcheck", "Conv3D"]) == 2
    assert "nncore: cannot check 'Conv3D'" in capsys.readouterr().err
