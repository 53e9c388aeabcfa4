import math

import numpy as np
import pytest

from nncore.errors import OptionError
from nncore.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, clip_gradients

STEPS = 6
RATE = 0.05
CASES = {
    "sgd, no momentum": (SGD, {"momentum": 0.0}),
    "sgd, momentum": (SGD, {"momentum": 0.8}),
    "sgd, momentum, decay": (SGD, {"momentum": 0.8, "weight_decay": 0.1}),
    "sgd, nesterov, decay": (SGD, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    "adam": (Adam, {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
    "adam, decay": (Adam, {"weight_decay": 0.1}),
    "adamw": (AdamW, {"beta_1": 0.7, "weight_decay": 0.3}),
    "adamw, defaults": (AdamW, {}),
}


def start(rng, dtype=np.float64):
    """Parameters, and a gradient for each of several steps; weights decay, biases do not."""
    shapes = {"kernel": (4, 3), "bias": (3,)}
    parameters = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    gradients = [{n: rng.standard_normal(s).astype(dtype) for n, s in shapes.items()} for _ in range(STEPS)]
    return parameters, gradients


def rates():
    """A learning rate that changes from step to step, as with a schedule."""
    return [RATE * (1 + step % 3) for step in range(STEPS)]


def one_weight(optimizer, weight, gradients, decays):
    """The path of a single number, as the papers write it."""
    velocity = m = v = 0.0
    for t, (g, rate) in enumerate(zip(gradients, rates(), strict=True), start=1):
        decay = optimizer.weight_decay if decays else 0.0
        if isinstance(optimizer, SGD):
            g = g + decay * weight
            velocity = optimizer.momentum * velocity + g
            weight -= rate * (g + optimizer.momentum * velocity if optimizer.nesterov else velocity)
            continue
        shrink = 1.0
        if isinstance(optimizer, AdamW):
            shrink = 1 - rate * optimizer.decoupled_decay if decays else 1.0
        else:
            g = g + decay * weight
        m = optimizer.beta_1 * m + (1 - optimizer.beta_1) * g
        v = optimizer.beta_2 * v + (1 - optimizer.beta_2) * g * g
        mean, square = m / (1 - optimizer.beta_1**t), v / (1 - optimizer.beta_2**t)
        weight = shrink * weight - rate * mean / (math.sqrt(square) + optimizer.epsilon)
    return weight


@pytest.mark.parametrize("case", CASES)
def test_several_steps_number_by_number(rng, case):
    kind, options = CASES[case]
    optimizer, (parameters, gradients) = kind(**options), start(rng)
    begun = {name: array.copy() for name, array in parameters.items()}
    for gradient, rate in zip(gradients, rates(), strict=True):
        optimizer.step(parameters, gradient, rate)
    assert optimizer.steps == STEPS
    for name, array in parameters.items():
        for index in np.ndindex(*array.shape):
            path = [float(gradient[name][index]) for gradient in gradients]
            expected = one_weight(optimizer, float(begun[name][index]), path, decays=name == "kernel")
            assert array[index] == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES)
def test_several_steps_against_torch(rng, case):
    torch = pytest.importorskip("torch")
    kind, options = CASES[case]
    optimizer, (parameters, gradients) = kind(**options), start(rng)
    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    translated = {name: options[name] for name in ("momentum", "nesterov") if name in options}
    if kind is not SGD:
        translated = {"betas": (optimizer.beta_1, optimizer.beta_2), "eps": optimizer.epsilon}
    decay = optimizer.decoupled_decay if kind is AdamW else optimizer.weight_decay
    groups = [
        {"params": [theirs["kernel"]], "weight_decay": decay},
        {"params": [theirs["bias"]], "weight_decay": 0.0},
    ]
    there = getattr(torch.optim, kind.__name__)(groups, lr=RATE, **translated)
    for gradient, rate in zip(gradients, rates(), strict=True):
        optimizer.step(parameters, gradient, rate)
        for name, tensor in theirs.items():
            tensor.grad = torch.tensor(gradient[name])
        for group in there.param_groups:
            group["lr"] = rate
        there.step()
        for name, array in parameters.items():
            np.testing.assert_allclose(array, theirs[name].detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_works_in_place_keeps_types_and_leaves_gradients_alone(rng, case, dtype):
    kind, options = CASES[case]
    optimizer, (parameters, gradients) = kind(**options), start(rng, dtype)
    same = dict(parameters)
    copy = {name: array.copy() for name, array in gradients[0].items()}
    optimizer.step(parameters, gradients[0])
    for name, array in parameters.items():
        assert array is same[name]
        assert array.dtype == dtype
        np.testing.assert_array_equal(gradients[0][name], copy[name])
    assert all(array.dtype == dtype for array in optimizer.state.values())


@pytest.mark.parametrize("case", CASES)
def test_state_and_step_count_are_all_there_is_to_resume(rng, case):
    kind, options = CASES[case]
    straight, (parameters, gradients) = kind(**options), start(rng)
    for gradient in gradients[:3]:
        straight.step(parameters, gradient)
    resumed, copies = kind(**options), {name: array.copy() for name, array in parameters.items()}
    resumed.state = {name: array.copy() for name, array in straight.state.items()}
    resumed.steps = straight.steps
    assert all(name.split("/")[0] in parameters for name in straight.state)
    for gradient in gradients[3:]:
        straight.step(parameters, gradient)
        resumed.step(copies, gradient)
    for name, array in parameters.items():
        np.testing.assert_array_equal(array, copies[name])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_finds_the_lowest_point(rng, name):
    goal = rng.standard_normal((3, 2))
    weights = goal + rng.uniform(-1, 1, (3, 2))
    optimizer = OPTIMIZERS[name](learning_rate=0.02, weight_decay=0.0)
    for _ in range(600):
        optimizer.step({"w": weights}, {"w": 2 * (weights - goal)})
    np.testing.assert_allclose(weights, goal, atol=1e-3)


@pytest.mark.parametrize("max_norm", [0.5, 3.0, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipping_by_the_joint_length(rng, dtype, max_norm):
    gradients = {name: rng.standard_normal(shape).astype(dtype) for name, shape in (("a", (4, 3)), ("b", (5,)))}
    copies = {name: array.copy() for name, array in gradients.items()}
    length = math.sqrt(sum(float(number) ** 2 for array in copies.values() for number in array.ravel()))
    same = dict(gradients)
    assert clip_gradients(gradients, max_norm) == pytest.approx(length, rel=1e-5)
    for name, array in gradients.items():
        assert array is same[name]
        assert array.dtype == dtype
        np.testing.assert_allclose(array, copies[name] * min(1, max_norm / length), rtol=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clipping_against_torch(rng, max_norm):
    torch = pytest.importorskip("torch")
    gradients = {"a": rng.standard_normal((4, 3)), "b": rng.standard_normal(5)}
    tensors = [torch.zeros(array.shape, dtype=torch.float64, requires_grad=True) for array in gradients.values()]
    for tensor, array in zip(tensors, gradients.values(), strict=True):
        tensor.grad = torch.tensor(array)
    norm = torch.nn.utils.clip_grad_norm_(tensors, max_norm)
    assert clip_gradients(gradients, max_norm) == pytest.approx(norm.item())
    for tensor, array in zip(tensors, gradients.values(), strict=True):
        # torch divides by the length plus 1e-6
        np.testing.assert_allclose(array, tensor.grad.numpy(), rtol=1e-5)


def test_clipping_of_nothing_and_of_what_is_not_a_number():
    zeros = {"a": np.zeros(3)}
    assert clip_gradients(zeros, 1.0) == 0
    np.testing.assert_array_equal(zeros["a"], np.zeros(3))
    broken = {"a": np.array([np.nan, 1.0])}
    assert math.isnan(clip_gradients(broken, 1.0))


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_options_they_share(kind):
    for rate in (0, -0.1, float("nan")):
        with pytest.raises(OptionError, match="learning_rate must be above 0, not"):
            kind(learning_rate=rate)
    for decay in (-0.1, float("nan")):
        with pytest.raises(OptionError, match="weight_decay must be at least 0, not"):
            kind(weight_decay=decay)


def test_options_of_their_own():
    for momentum in (-0.1, 1.0):
        with pytest.raises(OptionError, match="momentum must be at least 0 and below 1, not"):
            SGD(momentum=momentum)
    for kind in (Adam, AdamW):
        for name in ("beta_1", "beta_2"):
            with pytest.raises(OptionError, match="beta_1 and beta_2 must be at least 0 and below 1, not"):
                kind(**{name: 1.0})
    with pytest.raises(NotImplementedError, match="Optimizer must define update"):
        Optimizer(0.1).step({"w": np.ones(1)}, {"w": np.ones(1)})
