"""Exponential moving average of the weights: the average of many steps often classifies better than the last one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nncore.errors import OptionError
from nncore.types import Array


class ExponentialMovingAverage:
    """average = decay * average + (1 - decay) * weights, after each step.

    In the first steps the decay is smaller, (1 + steps) / (10 + steps), so that the random start is soon forgotten.

        average = ExponentialMovingAverage(network.parameters(), decay=0.999)
        ... optimizer.step(...); average.update() ...
        with average.applied():
            network.predict(x)            # with the averaged weights

    Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the decay of the first
    steps as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, parameters: Mapping[str, Array], decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise OptionError(f"decay must be at least 0 and below 1, not {decay!r}")
        self.decay = decay
        self.steps = 0
        self.parameters = dict(parameters)
        self.averages = {name: array.copy() for name, array in parameters.items()}

    def update(self) -> None:
        """Take in the weights as they are now."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, average in self.averages.items():
            average += (1 - decay) * (self.parameters[name] - average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this block the network has the averaged weights; after it, its own again."""
        own = {name: array.copy() for name, array in self.parameters.items()}
        try:
            for name, array in self.parameters.items():
                array[...] = self.averages[name]
            yield
        finally:
            for name, array in self.parameters.items():
                array[...] = own[name]
