"""nncore itself; the variant is the name of its convolution algorithm.

It trains as `train_scratch.py` does, and predicts with a frozen network, as the demo does.
"""

from nncore.machine import configure_threads_and_malloc

configure_threads_and_malloc()  # before NumPy is imported

# isort: split
import copy
import platform
from importlib.metadata import version
from pathlib import Path

from threadpoolctl import threadpool_info

from benchmarks.compare.protocol import Floats, Integers, serve
from nncore.kernels import available
from nncore.layers import Dropout
from nncore.losses import SoftmaxCrossEntropy
from nncore.machine import use_threads
from nncore.network.fusion import multiplies_by_blas
from nncore.network.sequential import Sequential
from nncore.optimizers import Adam


class NNCore:
    """A `Trainer`, see `benchmarks/compare/protocol.py`."""

    def __init__(self, variant: str, threads: int, folder: Path) -> None:
        use_threads(threads, blas=threads if multiplies_by_blas(variant) else 1)
        self.network = Sequential.load(folder / "weights.npz", conv=variant)
        self.reader = copy.deepcopy(self.network)
        self.reader.freeze()
        self.loss = SoftmaxCrossEntropy()
        self.optimizer = Adam(0.001)

    def predict(self, images: Floats) -> Floats:
        return self.reader.predict(images)

    def gradients(self, images: Floats, labels: Integers) -> dict[str, Floats]:
        rates = {layer: layer.rate for layer in self.network.layers if isinstance(layer, Dropout)}
        for layer in rates:
            layer.rate = 0.0
        logits = self.network.forward(images, training=True)
        self.loss.forward(logits, labels)
        self.network.backward(self.loss.backward())
        for layer, rate in rates.items():
            layer.rate = rate
        return {"logits": logits, **self.network.gradients()}

    def train(self, images: Floats, labels: Integers) -> float:
        value = self.loss.forward(self.network.forward(images, training=True), labels)
        self.network.backward(self.loss.backward())
        self.optimizer.step(self.network.parameters(), self.network.gradients())
        return value

    def versions(self) -> dict[str, str]:
        versions = {"Python": platform.python_version(), "NumPy": version("numpy")}
        for pool in threadpool_info():
            if pool["user_api"] == "blas":
                kernels = f" for {pool['architecture']}" if "architecture" in pool else ""
                versions["BLAS"] = f"{pool['internal_api']} {pool['version']}{kernels}, {pool['num_threads']} threads"
        versions.setdefault("BLAS", "unknown to threadpoolctl")
        if not available():
            return {**versions, "Numba": "not used"}
        import numba

        layer = f"{numba.threading_layer()}, {numba.get_num_threads()} threads"  # type: ignore[attr-defined]
        return {**versions, "Numba": version("numba"), "threading layer": layer}


if __name__ == "__main__":
    serve(NNCore)
