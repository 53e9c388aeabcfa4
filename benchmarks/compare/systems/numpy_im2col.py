"""The didactic peer: a network in plain NumPy, as tutorials write it. Convolutions are im2col and one product.

Nothing is shared with nncore, so that this is what one gets by stopping at NumPy and its BLAS.
"""

import platform
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare.protocol import BenchmarkError, Floats, Integers, Layer, read_network, serve


class NumPy:
    """A `Trainer`, see `benchmarks/compare/protocol.py`. BLAS has the threads that OMP_NUM_THREADS says."""

    def __init__(self, variant: str, threads: int, folder: Path) -> None:
        network = read_network(folder)
        self.layers, self.arrays = network.layers, network.arrays
        self.grads: dict[str, Floats] = {}
        self.moments: dict[str, tuple[Floats, Floats]] = {}
        self.steps = 0
        self.rng = np.random.default_rng(0)

    def predict(self, images: Floats) -> Floats:
        parts = [self.forward(images[i : i + 128], False, False) for i in range(0, len(images), 128)]
        return np.concatenate(parts)

    def gradients(self, images: Floats, labels: Integers) -> dict[str, Floats]:
        logits = self.forward(images, True, False)
        self.backward(logits, labels)
        return {"logits": logits, **self.grads}

    def train(self, images: Floats, labels: Integers) -> float:
        loss = self.backward(self.forward(images, True, True), labels)
        self.steps += 1
        for name, g in self.grads.items():
            m, v = self.moments.setdefault(name, (np.zeros_like(g), np.zeros_like(g)))
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            m_hat, v_hat = m / (1 - 0.9**self.steps), v / (1 - 0.999**self.steps)
            self.arrays[name] -= 0.001 * m_hat / (np.sqrt(v_hat) + 1e-8)
        return loss

    def forward(self, x: Floats, training: bool, dropout: bool) -> Floats:
        self.caches: list[Any] = []
        for layer in self.layers:
            x, cache = self.layer_forward(layer, x, training, dropout)
            self.caches.append(cache)
        return x

    def backward(self, logits: Floats, labels: Integers) -> float:
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        loss = float(-np.log(p[rows, labels]).mean())
        p[rows, labels] -= 1
        dy = p / np.float32(len(labels))
        for layer, cache in zip(reversed(self.layers), reversed(self.caches), strict=True):
            dy = self.layer_backward(layer, dy, cache)
        return loss

    def layer_forward(self, layer: Layer, x: Floats, training: bool, dropout: bool) -> tuple[Floats, Any]:
        a = {key.split(".")[1]: array for key, array in self.arrays.items() if key.startswith(f"{layer.name}.")}
        s = layer.settings
        match layer.type:
            case "Conv2D":
                w = a["kernel"]
                x = np.pad(x, ((0, 0), *s["padding"], (0, 0)))
                columns = im2col(x, w.shape[0], w.shape[1], *s["stride"])
                y = columns.reshape(-1, w[..., 0].size) @ w.reshape(-1, w.shape[3])
                return y.reshape(*columns.shape[:3], -1) + a.get("bias", np.float32(0)), (x.shape, columns)
            case "Dense":
                return x @ a["kernel"] + a.get("bias", np.float32(0)), x
            case "BatchNorm":
                mean, var = a["running_mean"], a["running_variance"]
                if training:
                    mean = channel_mean(x)
                    var = channel_mean((x - mean) ** 2)
                    momentum = np.float32(s["momentum"])
                    for name, batch in (("running_mean", mean), ("running_variance", var)):
                        a[name][...] = momentum * a[name] + (1 - momentum) * batch
                scale = 1 / np.sqrt(var + np.float32(s["epsilon"]))
                z = (x - mean) * scale
                return a["gamma"] * z + a["beta"], (z, scale)
            case "ReLU":
                return np.maximum(x, 0), x
            case "MaxPool2D":
                (ph, pw), (sh, sw) = s["pool_size"], s["stride"]
                columns = im2col(x, ph, pw, sh, sw)
                columns = columns.reshape(*columns.shape[:3], ph * pw, -1)
                winners = columns.argmax(axis=3)
                return np.take_along_axis(columns, winners[:, :, :, np.newaxis], axis=3)[:, :, :, 0], (x.shape, winners)
            case "Dropout":
                if not dropout:
                    return x, np.float32(1)
                kept = (self.rng.random(x.shape, np.float32) >= s["rate"]) / np.float32(1 - s["rate"])
                return x * kept, kept
            case "Flatten":
                return x.reshape(len(x), -1), x.shape
        raise BenchmarkError(f"no {layer.type} was written in NumPy")

    def layer_backward(self, layer: Layer, dy: Floats, cache: Any) -> Any:
        name, s, axes = layer.name, layer.settings, tuple(range(dy.ndim - 1))
        if s.get("use_bias"):
            self.grads[f"{name}.bias"] = dy.sum(axis=axes)
        match layer.type:
            case "Conv2D":
                (shape, columns), w = cache, self.arrays[f"{name}.kernel"]
                rows = dy.reshape(-1, w.shape[3])
                self.grads[f"{name}.kernel"] = (columns.reshape(len(rows), -1).T @ rows).reshape(w.shape)
                dcolumns = (rows @ w.reshape(-1, w.shape[3]).T).reshape(columns.shape)
                (top, bottom), (left, right) = s["padding"]
                dx = col2im(dcolumns, shape, *s["stride"])
                return dx[:, top : shape[1] - bottom, left : shape[2] - right]
            case "Dense":
                self.grads[f"{name}.kernel"] = cache.T @ dy
                return dy @ self.arrays[f"{name}.kernel"].T
            case "BatchNorm":
                z, scale = cache
                self.grads[f"{name}.gamma"], self.grads[f"{name}.beta"] = (dy * z).sum(axis=axes), dy.sum(axis=axes)
                dz = dy * self.arrays[f"{name}.gamma"]
                dx = scale * (dz - channel_mean(dz) - z * channel_mean(dz * z))
                return dx
            case "ReLU":
                return dy * (cache > 0)
            case "MaxPool2D":
                (shape, winners), (ph, pw) = cache, s["pool_size"]
                dcolumns = np.zeros((*dy.shape[:3], ph * pw, dy.shape[3]), dy.dtype)
                np.put_along_axis(dcolumns, winners[:, :, :, np.newaxis], dy[:, :, :, np.newaxis], axis=3)
                return col2im(dcolumns.reshape(*dy.shape[:3], ph, pw, -1), shape, *s["stride"])
            case "Dropout":
                return dy * cache
        return dy.reshape(cache)  # Flatten

    def versions(self) -> dict[str, str]:
        built: Any = np.show_config(mode="dicts")
        blas = built["Build Dependencies"]["blas"]
        versions = {"Python": platform.python_version(), "NumPy": np.__version__}
        return {**versions, "BLAS": f"{blas['name']} {blas['version']}"}


def channel_mean(x: Floats) -> Floats:
    """Over all axes but the last; one axis after the other, as a sum of very many numbers is rounded as often."""
    while x.ndim > 1:
        x = x.mean(axis=-2)
    return x


def im2col(x: Floats, kh: int, kw: int, sh: int, sw: int) -> Floats:
    """Every window of images (N, H, W, C), copied side by side: (N, OH, OW, KH, KW, C)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))[:, ::sh, ::sw]
    return np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3))


def col2im(columns: Floats, shape: tuple[int, ...], sh: int, sw: int) -> Floats:
    """The way back: what the windows (N, OH, OW, KH, KW, C) hold, added up in images of that shape."""
    x = np.zeros(shape, columns.dtype)
    _, oh, ow, kh, kw, _ = columns.shape
    for i in range(kh):
        for j in range(kw):
            x[:, i : i + sh * oh : sh, j : j + sw * ow : sw] += columns[:, :, :, i, j]
    return x


if __name__ == "__main__":
    serve(NumPy)
