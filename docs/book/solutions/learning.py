"""A training loop in one function, for exercises 3 and 4."""

from nncore.data.dataset import batches, network_input
from nncore.losses import SoftmaxCrossEntropy
from nncore.network.sequential import Sequential
from nncore.optimizers import Adam
from nncore.schedules import one_cycle
from nncore.types import Bytes


def learn(
    network: Sequential, images: Bytes, labels: Bytes, epochs: int, batch_size: int = 50, peak: float = 0.003
) -> None:
    """Train a network with Adam, in one cycle. images: (N, 28, 28), labels: (N,), both uint8."""
    loss, optimizer = SoftmaxCrossEntropy(), Adam()
    rate = one_cycle(peak, total_steps=epochs * -(-len(images) // batch_size))
    for epoch in range(epochs):
        for digits, y in batches(images, labels, batch_size, seed=0, epoch=epoch):
            logits = network.forward(network_input(digits), training=True)
            loss.forward(logits, y)
            network.backward(loss.backward())
            optimizer.step(network.parameters(), network.gradients(), rate(optimizer.steps))
