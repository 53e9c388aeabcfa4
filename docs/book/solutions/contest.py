"""Exercise 4: a network that beats the compact one with fewer parameters: python docs/book/solutions/contest.py."""

from learning import learn

from nncore.data.dataset import network_input
from nncore.data.strokes.synthetic import synthetic_digits
from nncore.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU
from nncore.network.models import compact
from nncore.network.sequential import Sequential
from nncore.training.metrics import accuracy


def challenger(seed: int = 0) -> Sequential:
    """Four convolutions with batch normalisation, and no dense layer but the last."""
    layers: list[Layer] = []
    for filters in (16, 32, 64):
        layers += [Conv2D(filters, 3, padding="same", use_bias=False), BatchNorm(), ReLU(), MaxPool2D(2)]
    layers += [Conv2D(80, 3, use_bias=False), BatchNorm(), ReLU(), Flatten(), Dropout(0.2)]
    return Sequential([*layers, Dense(10, initializer="glorot")], input_shape=(28, 28, 1), seed=seed)


def score(network: Sequential) -> float:
    """The accuracy on 3,000 digits after four epochs of 3,000 others: the rules of the contest."""
    learn(network, *synthetic_digits(3000, seed=0), epochs=4)
    images, labels = synthetic_digits(3000, seed=1)
    return accuracy(network.predict(network_input(images)), labels)


if __name__ == "__main__":
    for name, make in (("compact", compact), ("challenger", challenger)):
        network = make(seed=0)
        print(f"{name:10} {network.count_parameters():6,} parameters, {score(network):.1%} right")
