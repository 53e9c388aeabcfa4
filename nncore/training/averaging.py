"""Exponential moving average of the weights: the average of many steps often classifies better than the last one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nncore.errors import OptionError
from nncore.network.sequential import Sequential
from nncore.optimizers import Optimizer
from nncore.types import Array


class ExponentialMovingAverage:
    """An optimizer that also averages: average = decay * average + (1 - decay) * weights, after each step.

    In the first steps the decay is smaller, (1 + steps) / (10 + steps), so that the random start is soon forgotten.
    What is averaged are the network's parameters and running statistics. With a decay of 0, nothing is.

        optimizer = ExponentialMovingAverage(SGD(0.1), network, decay=0.999)
        ... optimizer.step(...) ...
        with optimizer.averaged():
            network.predict(x)            # with the averaged weights

    Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the decay of the first
    steps as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, optimizer: Optimizer, network: Sequential, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise OptionError(f"decay must be at least 0 and below 1, not {decay!r}")
        self.optimizer, self.decay = optimizer, decay
        statistics = {name: array for name, array in network.state().items() if array.dtype == network.dtype}
        self._weights = {**network.parameters(), **statistics} if decay else {}
        self._averages = {name: array.copy() for name, array in self._weights.items()}

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return self.optimizer.steps

    @property
    def state(self) -> dict[str, Array]:
        """What is remembered: the optimizer's state, and the averages as "average/parameter's name"."""
        return {**self.optimizer.state, **{f"average/{name}": array for name, array in self._averages.items()}}

    def restore(self, steps: int, state: Mapping[str, Array]) -> None:
        """Go on from an earlier `steps` and `state`. KeyError or ValueError where they are of another network."""
        self.optimizer.steps = steps
        self.optimizer.state = {name: array for name, array in state.items() if not name.startswith("average/")}
        for name, average in self._averages.items():
            average[...] = state[f"average/{name}"]

    def step(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array], learning_rate: float) -> None:
        """Move every parameter against its gradient, then take the weights into the averages."""
        self.optimizer.step(parameters, gradients, learning_rate)
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, average in self._averages.items():
            average += (1 - decay) * (self._weights[name] - average)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within this block the network has the averaged weights; after it, its own again."""
        own = {name: array.copy() for name, array in self._weights.items()}
        try:
            for name, array in self._weights.items():
                array[...] = self._averages[name]
            yield
        finally:
            for name, array in self._weights.items():
                array[...] = own[name]
