"""JAX, by jit: a step is one compiled function, whose arguments' memory is used again for its results."""

import os
import platform
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.compare.protocol import BenchmarkError, Floats, Integers, Layer, keep_to_cores, read_network, serve


class Jax:
    """A `Trainer`, see `benchmarks/compare/protocol.py`. It starts as many threads as there are cores for it."""

    def __init__(self, variant: str, threads: int, folder: Path) -> None:
        keep_to_cores(threads)
        network = read_network(folder)
        self.layers = tuple(network.layers)
        arrays = {name: jnp.asarray(array) for name, array in network.arrays.items()}
        self.running = {name: array for name, array in arrays.items() if ".running_" in name}
        self.learned = {name: array for name, array in arrays.items() if ".running_" not in name}
        self.moments = [jax.tree.map(jnp.zeros_like, self.learned) for _ in range(2)]
        self.count = jnp.zeros((), jnp.float32)
        self.key = jax.random.key(0, impl="rbg")  # the quick one
        self._predict = jax.jit(lambda learned, running, x: self.forward(learned, running, x)[0])
        self._step = jax.jit(self.step, donate_argnums=(0, 1, 2, 3, 4))

    def predict(self, images: Floats) -> Floats:
        return np.asarray(self._predict(self.learned, self.running, images))

    def gradients(self, images: Floats, labels: Integers) -> dict[str, Floats]:
        differentiate = jax.jit(jax.grad(self.loss, has_aux=True))
        gradients, (_, logits) = differentiate(self.learned, self.running, images, labels, None)
        return {"logits": np.asarray(logits), **{name: np.asarray(gradients[name]) for name in gradients}}

    def train(self, images: Floats, labels: Integers) -> float:
        state = self.learned, self.running, self.moments, self.count, self.key
        (self.learned, self.running, self.moments, self.count, self.key), loss = self._step(*state, images, labels)
        return float(loss)

    def step(self, learned: Any, running: Any, moments: Any, count: Any, key: Any, images: Any, labels: Any) -> Any:
        key, mask = jax.random.split(key)
        differentiate = jax.value_and_grad(self.loss, has_aux=True)
        (loss, (running, _)), gradients = differentiate(learned, running, images, labels, mask)
        count = count + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradients)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], gradients)
        rate, scale = 0.001 / (1 - 0.9**count), 1 / (1 - 0.999**count)
        learned = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v * scale) + 1e-8), learned, m, v)
        return (learned, running, [m, v], count, key), loss

    def loss(self, learned: Any, running: Any, images: Any, labels: Any, key: Any) -> Any:
        """The mean loss, the new running averages and the logits; no dropout without a key."""
        logits, running = self.forward(learned, running, images, training=True, key=key)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, jnp.newaxis], axis=1)
        return -chosen.mean(), (running, logits)

    def forward(self, learned: Any, running: Any, x: Any, training: bool = False, key: Any = None) -> Any:
        running = dict(running)
        for number, layer in enumerate(self.layers):
            own = None if key is None else jax.random.fold_in(key, number)
            x = apply(layer, learned, running, x, training, own)
        return x, running

    def versions(self) -> dict[str, str]:
        return {
            "Python": platform.python_version(),
            "JAX": jax.__version__,
            "NumPy": np.__version__,
            "threads": str(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else "all cores",
        }


def apply(layer: Layer, learned: Any, running: dict[str, Any], x: Any, training: bool, key: Any) -> Any:
    """One layer; `running` takes the new running averages."""
    settings, name = layer.settings, layer.name
    match layer.type:
        case "Conv2D":
            layout = ("NHWC", "HWIO", "NHWC")
            y = jax.lax.conv_general_dilated(
                x, learned[f"{name}.kernel"], settings["stride"], settings["padding"], dimension_numbers=layout
            )
            return y + learned[f"{name}.bias"] if settings["use_bias"] else y
        case "Dense":
            y = x @ learned[f"{name}.kernel"]
            return y + learned[f"{name}.bias"] if settings["use_bias"] else y
        case "BatchNorm":
            mean, variance = running[f"{name}.running_mean"], running[f"{name}.running_variance"]
            if training:
                axes = tuple(range(x.ndim - 1))
                momentum, before = settings["momentum"], (mean, variance)
                mean, variance = x.mean(axis=axes), x.var(axis=axes)
                running[f"{name}.running_mean"] = momentum * before[0] + (1 - momentum) * mean
                running[f"{name}.running_variance"] = momentum * before[1] + (1 - momentum) * variance
            scale = learned[f"{name}.gamma"] * jax.lax.rsqrt(variance + settings["epsilon"])
            return (x - mean) * scale + learned[f"{name}.beta"]
        case "ReLU":
            return jax.nn.relu(x)
        case "MaxPool2D":
            return max_pool(x, settings["pool_size"], settings["stride"])
        case "Dropout":
            if key is None:
                return x
            kept = jax.random.bernoulli(key, 1 - settings["rate"], x.shape)
            return jnp.where(kept, x / (1 - settings["rate"]), 0)
        case "Flatten":
            return x.reshape(len(x), -1)
    raise BenchmarkError(f"no {layer.type} was written for JAX")


def max_pool(x: Any, size: Any, stride: Any) -> Any:
    """Windows side by side are an axis of their own, whose maximum has a quicker gradient than reduce_window's."""
    (ph, pw), (n, height, width, channels) = size, x.shape
    if list(size) == list(stride):
        rows, columns = height // ph, width // pw
        return x[:, : rows * ph, : columns * pw].reshape(n, rows, ph, columns, pw, channels).max(axis=(2, 4))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, ph, pw, 1), (1, *stride, 1), "VALID")


if __name__ == "__main__":
    serve(Jax)
