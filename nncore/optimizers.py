"""Optimizers: how a gradient becomes a step.

An optimizer changes parameters in place. What it remembers of each one (a velocity, running moments) is kept in
`state` under the parameter's name, so that a checkpoint can hold it.
"""

import math
from collections.abc import Mapping

import numpy as np

from nncore.errors import OptionError
from nncore.kernels import accelerated
from nncore.types import Array


class Optimizer:
    """Base: `step` walks the parameters and `update` does one.

    Args:
        learning_rate: the size of a step; `step` may be given another each time, as schedules do.
        weight_decay: how much of each kernel is taken away per step, times the learning rate. Biases and the like
            (arrays of one axis) are left alone.

    Attributes:
        steps: how many steps were taken.
        state: what is remembered, by "parameter's name/what".
    """

    def __init__(self, learning_rate: float, weight_decay: float = 0.0) -> None:
        if not learning_rate > 0:
            raise OptionError(f"learning_rate must be above 0, not {learning_rate!r}")
        if not weight_decay >= 0:
            raise OptionError(f"weight_decay must be at least 0, not {weight_decay!r}")
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.steps = 0
        self.state: dict[str, Array] = {}

    def step(
        self,
        parameters: Mapping[str, Array],
        gradients: Mapping[str, Array],
        learning_rate: float | None = None,
    ) -> None:
        """Move every parameter against its gradient."""
        self.steps += 1
        rate = self.learning_rate if learning_rate is None else learning_rate
        for name, parameter in parameters.items():
            self.update(name, parameter, gradients[name], rate)

    def update(self, name: str, parameter: Array, gradient: Array, learning_rate: float) -> None:
        """Change one parameter in place."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def decay(self, parameter: Array) -> float:
        """The weight decay that applies to a parameter."""
        return self.weight_decay if parameter.ndim > 1 else 0.0

    def memory(self, name: str, what: str, like: Array) -> Array:
        """The array remembered for a parameter, zeros at first."""
        return self.state.setdefault(f"{name}/{what}", np.zeros_like(like))


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v = momentum * v + g, then w = w - learning_rate * v.

    With Nesterov's correction, the step is momentum * v + g for the new v: the gradient as if taken a step ahead.
    Weight decay is added to the gradient (the classical L2 form): g = gradient + weight_decay * w.

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum", in the form PyTorch uses.
    """

    def __init__(
        self, learning_rate: float = 0.01, momentum: float = 0.9, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        if not 0 <= momentum < 1:
            raise OptionError(f"momentum must be at least 0 and below 1, not {momentum!r}")
        self.momentum = momentum
        self.nesterov = nesterov

    def update(self, name: str, parameter: Array, gradient: Array, learning_rate: float) -> None:
        gradient = gradient + self.decay(parameter) * parameter
        velocity = self.memory(name, "velocity", parameter)
        velocity *= self.momentum
        velocity += gradient
        direction = self.momentum * velocity + gradient if self.nesterov else velocity
        parameter -= learning_rate * direction


class Adam(Optimizer):
    """Each weight's step is its mean gradient over its typical size: w = w - learning_rate * m' / (sqrt(v') + epsilon).

    m = b1 * m + (1 - b1) g and v = b2 * v + (1 - b2) g^2 are running means of the gradient and of its square. Both
    start at zero and are hence too small at first, which m' = m / (1 - b1^t) and v' = v / (1 - b2^t) make good.
    Weight decay is added to the gradient; see AdamW for the form that works better.

    Source: Kingma & Ba 2015, "Adam", algorithm 1.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        if not (0 <= beta_1 < 1 and 0 <= beta_2 < 1):
            raise OptionError(f"beta_1 and beta_2 must be at least 0 and below 1, not {beta_1!r} and {beta_2!r}")
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def update(self, name: str, parameter: Array, gradient: Array, learning_rate: float) -> None:
        if self.decay(parameter):
            gradient = gradient + self.decay(parameter) * parameter
        m, v = self.memory(name, "m", parameter), self.memory(name, "v", parameter)
        adam(parameter, gradient, m, v, (self.beta_1, self.beta_2), learning_rate, self.epsilon, self.steps)


@accelerated("adam")
def adam(
    w: Array, gradient: Array, m: Array, v: Array, betas: tuple[float, float], rate: float, epsilon: float, t: int
) -> None:
    """The t-th step of Adam, t from 1: changes w and its running moments m and v in place. All have one shape."""
    beta_1, beta_2 = betas
    m += (1 - beta_1) * (gradient - m)
    v += (1 - beta_2) * (gradient * gradient - v)
    w -= rate * (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


class AdamW(Adam):
    """Adam with decoupled weight decay: w = w - learning_rate * weight_decay * w, apart from the gradient's step.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay)
        self.decoupled_decay, self.weight_decay = weight_decay, 0.0

    def update(self, name: str, parameter: Array, gradient: Array, learning_rate: float) -> None:
        if parameter.ndim > 1:
            parameter *= 1 - learning_rate * self.decoupled_decay
        super().update(name, parameter, gradient, learning_rate)


def clip_gradients(gradients: Mapping[str, Array], max_norm: float) -> float:
    """Scale all gradients down in place, by one factor, so that their joint length is at most `max_norm`.

    Returns the length before. Source: Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural
    networks", algorithm 1.
    """
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values()))
    if norm > max_norm:
        for gradient in gradients.values():
            gradient *= max_norm / norm
    return norm


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
