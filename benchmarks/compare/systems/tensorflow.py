"""TensorFlow. Variants: "graph", by tf.function; "jit", the same with jit_compile.

Operations are called by hand, and Adam is the one kernel that does all of it: there is nothing between them that Keras
would add.
"""

import platform
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.compare.protocol import BenchmarkError, Floats, Integers, Layer, keep_to_cores, read_network, serve


class TensorFlow:
    """A `Trainer`, see `benchmarks/compare/protocol.py`."""

    def __init__(self, variant: str, threads: int, folder: Path) -> None:
        keep_to_cores(threads)  # as the two pools together may run more threads
        if tf.config.threading.get_intra_op_parallelism_threads() == 0:  # it can be told once
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        network = read_network(folder)
        self.layers = network.layers
        self.arrays = {name: tf.Variable(array) for name, array in network.arrays.items()}
        self.learned = {name: a for name, a in self.arrays.items() if ".running_" not in name}
        self.moments = {
            name: (tf.Variable(tf.zeros_like(a)), tf.Variable(tf.zeros_like(a))) for name, a in self.learned.items()
        }
        self.powers = tf.Variable(0.9), tf.Variable(0.999)
        jit = variant == "jit" or None
        graph = partial(tf.function, jit_compile=jit, autograph=False)  # no Python to translate
        self._predict = graph(lambda x: self.forward(x, training=False, dropout=False))
        self._gradients = graph(lambda x, labels: self.loss_and_gradients(x, labels, dropout=False))
        self._step = graph(self.step)

    def predict(self, images: Floats) -> Floats:
        logits: Floats = self._predict(tf.convert_to_tensor(images)).numpy()
        return logits

    def gradients(self, images: Floats, labels: Integers) -> dict[str, Floats]:
        logits, _, gradients = self._gradients(images, labels)
        return {"logits": logits.numpy(), **{name: g.numpy() for name, g in gradients.items()}}

    def train(self, images: Floats, labels: Integers) -> float:
        return float(self._step(tf.convert_to_tensor(images), tf.convert_to_tensor(labels)))

    def step(self, images: Any, labels: Any) -> Any:
        _, loss, gradients = self.loss_and_gradients(images, labels, dropout=True)
        for name, gradient in gradients.items():
            m, v = self.moments[name]
            tf.raw_ops.ResourceApplyAdam(
                var=self.learned[name].handle,
                m=m.handle,
                v=v.handle,
                beta1_power=self.powers[0],
                beta2_power=self.powers[1],
                lr=0.001,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-8,
                grad=gradient,
            )
        self.powers[0].assign(self.powers[0] * 0.9)
        self.powers[1].assign(self.powers[1] * 0.999)
        return loss

    def loss_and_gradients(self, images: Any, labels: Any, dropout: bool) -> tuple[Any, Any, dict[str, Any]]:
        with tf.GradientTape() as tape:
            logits = self.forward(images, training=True, dropout=dropout)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        return logits, loss, tape.gradient(loss, self.learned)

    def forward(self, x: Any, training: bool, dropout: bool) -> Any:
        for layer in self.layers:
            x = self.apply(layer, x, training, dropout)
        return x

    def apply(self, layer: Layer, x: Any, training: bool, dropout: bool) -> Any:
        settings, name, arrays = layer.settings, layer.name, self.arrays
        match layer.type:
            case "Conv2D":
                padding = settings["padding"]
                how = "VALID" if padding == [[0, 0], [0, 0]] else [[0, 0], *padding, [0, 0]]
                y = tf.nn.conv2d(x, arrays[f"{name}.kernel"], settings["stride"], how)
                return tf.nn.bias_add(y, arrays[f"{name}.bias"]) if settings["use_bias"] else y
            case "Dense":
                y = tf.matmul(x, arrays[f"{name}.kernel"])
                return tf.nn.bias_add(y, arrays[f"{name}.bias"]) if settings["use_bias"] else y
            case "BatchNorm":
                keys = ("gamma", "beta", "running_mean", "running_variance")
                gamma, beta, mean, variance = (arrays[f"{name}.{key}"] for key in keys)
                y, new_mean, new_variance = tf.compat.v1.nn.fused_batch_norm(
                    x if len(x.shape) == 4 else x[:, tf.newaxis, tf.newaxis],
                    *(gamma, beta, mean, variance),
                    epsilon=settings["epsilon"],
                    is_training=training,
                    exponential_avg_factor=1 - settings["momentum"] if training else 1.0,
                )
                if training:
                    mean.assign(new_mean)
                    variance.assign(new_variance)
                return y if len(x.shape) == 4 else y[:, 0, 0]
            case "ReLU":
                return tf.nn.relu(x)
            case "MaxPool2D":
                return tf.nn.max_pool2d(x, settings["pool_size"], settings["stride"], "VALID")
            case "Dropout":
                return tf.nn.dropout(x, settings["rate"]) if dropout else x
            case "Flatten":
                return tf.reshape(x, (-1, int(np.prod(layer.input_shape))))
        raise BenchmarkError(f"no {layer.type} was written for TensorFlow")

    def versions(self) -> dict[str, str]:
        return {
            "Python": platform.python_version(),
            "TensorFlow": tf.__version__,
            "NumPy": np.__version__,
            "threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
        }


if __name__ == "__main__":
    serve(TensorFlow)
