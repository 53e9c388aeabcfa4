"""Exercise 3: a network learns fifty digits by heart, and what helps: python docs/book/solutions/overfit.py."""

from learning import learn

from nncore.data.dataset import network_input
from nncore.data.strokes.synthetic import synthetic_digits
from nncore.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.sequential import Sequential
from nncore.types import Bytes

STEPS = 200


def network() -> Sequential:
    """The compact network without its dropout: nothing keeps it from learning by heart."""
    layers = [Conv2D(16, 3), ReLU(), MaxPool2D(2), Conv2D(32, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(112), ReLU()]
    return Sequential([*layers, Dense(10, initializer="glorot")], input_shape=(28, 28, 1), seed=0)


def marks(count: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """(loss, accuracy) on the `count` digits that it learned, and on a thousand that it did not."""
    images, labels = synthetic_digits(count, seed=0)
    pupil = network()
    learn(pupil, images, labels, epochs=STEPS * 50 // count)
    return mark(pupil, images, labels), mark(pupil, *synthetic_digits(1000, seed=1))


def mark(pupil: Sequential, images: Bytes, labels: Bytes) -> tuple[float, float]:
    """Its loss and accuracy on some digits."""
    logits = pupil.predict(network_input(images))
    return SoftmaxCrossEntropy().forward(logits, labels), float((logits.argmax(axis=1) == labels).mean())


if __name__ == "__main__":
    for count in (50, 500, 5000):
        (loss, accuracy), (other_loss, other_accuracy) = marks(count)
        print(
            f"{count:5} digits: loss {loss:.4f}, {accuracy:.1%} right; others: {other_loss:.4f}, {other_accuracy:.1%}"
        )
