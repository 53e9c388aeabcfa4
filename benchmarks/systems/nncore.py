"""nncore's reference network; the variant is the name of its convolution algorithm."""

import platform
from importlib.metadata import version

from threadpoolctl import threadpool_info

from benchmarks.protocol import Floats, Integers, serve
from nncore.kernels import NUMBA
from nncore.kernels.convolution import multiplies_by_blas
from nncore.layers import Dropout
from nncore.losses import SoftmaxCrossEntropy
from nncore.machine import use_threads
from nncore.models import reference
from nncore.optimizers import Adam
from nncore.plan import Plan


class NNCore:
    """A `Program`, see `benchmarks/protocol.py`: one network to train, its twin without dropout to compare."""

    def __init__(self, variant: str, threads: int, parameters: dict[str, Floats]) -> None:
        use_threads(threads, blas=threads if multiplies_by_blas(variant) else 1)
        self.network, self.without_dropout = reference(conv=variant), reference(conv=variant)
        for network in (self.network, self.without_dropout):
            for name, array in network.parameters().items():
                array[...] = parameters[name]
        for layer in self.without_dropout.layers:
            if isinstance(layer, Dropout):
                layer.rate = 0.0
        self.plan, self.plan_without_dropout = Plan(self.network), Plan(self.without_dropout)
        self.loss = SoftmaxCrossEntropy()
        self.optimizer = Adam(0.001)

    def gradients(self, images: Floats, labels: Integers) -> dict[str, Floats]:
        logits = self.plan_without_dropout.forward(images, training=True)
        self.loss.forward(logits, labels)
        self.plan_without_dropout.backward(self.loss.backward())
        return {"logits": logits, **self.without_dropout.gradients()}

    def train(self, images: Floats, labels: Integers) -> float:
        value = self.loss.forward(self.plan.forward(images, training=True), labels)
        self.plan.backward(self.loss.backward())
        self.optimizer.step(self.network.parameters(), self.network.gradients())
        return value

    def versions(self) -> dict[str, str]:
        versions = {"Python": platform.python_version(), "NumPy": version("numpy")}
        for pool in threadpool_info():
            if pool["user_api"] == "blas":
                kernels = f" for {pool['architecture']}" if "architecture" in pool else ""
                versions["BLAS"] = f"{pool['internal_api']} {pool['version']}{kernels}, {pool['num_threads']} threads"
        versions.setdefault("BLAS", "unknown to threadpoolctl")
        if not NUMBA:
            return {**versions, "Numba": "not used"}
        import numba

        layer = f"{numba.threading_layer()}, {numba.get_num_threads()} threads"  # type: ignore[attr-defined]
        return {**versions, "Numba": version("numba"), "threading layer": layer}


if __name__ == "__main__":
    serve(NNCore)
