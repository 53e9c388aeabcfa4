"""The reference network in PyTorch. Variants: "plain"; "tuned", with channels_last and fused Adam; "compiled", both."""

import platform
import re
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.protocol import Floats, Integers, serve

# nncore's names of the layers with parameters, and their places below
LAYERS = {"conv2d_1": 0, "conv2d_2": 2, "conv2d_3": 6, "dense_1": 11, "dense_2": 14}


def reference() -> Any:
    """The network as one writes it in PyTorch."""
    return nn.Sequential(
        *(nn.Conv2d(1, 64, 3), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Conv2d(128, 128, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(5 * 5 * 128, 256), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(256, 10),
    )


class PyTorch:
    """A `Program`, see `benchmarks/protocol.py`."""

    def __init__(self, variant: str, threads: int, parameters: dict[str, Floats]) -> None:
        torch.set_num_threads(threads)
        self.tuned = variant in ("tuned", "compiled")
        self.network = reference()
        self.parameters: dict[str, Any] = {}
        for name, place in LAYERS.items():
            self.parameters[f"{name}.kernel"] = self.network[place].weight
            self.parameters[f"{name}.bias"] = self.network[place].bias
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.tensor(to_pytorch(name, parameters[name])))
        if self.tuned:
            self.network.to(memory_format=torch.channels_last)
        self.forward = torch.compile(self.network) if variant == "compiled" else self.network
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.001, fused=self.tuned or None)

    def gradients(self, images: Floats, labels: Integers) -> dict[str, Floats]:
        self.network.eval()  # no dropout
        logits = self.run(images)
        self.backward(logits, labels)
        self.network.train()
        gradients = {name: to_nncore(name, parameter.grad.numpy()) for name, parameter in self.parameters.items()}
        return {"logits": logits.detach().numpy(), **gradients}

    def train(self, images: Floats, labels: Integers) -> float:
        loss = self.backward(self.run(images), labels)
        self.optimizer.step()
        return loss

    def run(self, images: Floats) -> torch.Tensor:
        # One channel may be a view in either layout, and by its strides PyTorch chooses the layout of all that follows.
        x = torch.from_numpy(images)
        x = x.permute(0, 3, 1, 2) if self.tuned else x.reshape(len(x), 1, 28, 28)
        logits: torch.Tensor = self.forward(x)
        return logits

    def backward(self, logits: torch.Tensor, labels: Integers) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(logits, torch.from_numpy(labels))
        loss.backward()
        value: float = loss.item()
        return value

    def versions(self) -> dict[str, str]:
        built = dict(re.findall(r"(\w+)=([^,\s]*)", torch.__config__.show()))
        onednn = re.search(r"MKL-DNN (v[\d.]+)", torch.__config__.show())
        return {
            "Python": platform.python_version(),
            "torch": torch.__version__,
            "NumPy": np.__version__,
            "BLAS": built.get("BLAS_INFO", "unknown"),
            "oneDNN": onednn[1] if onednn else "none",
            "threads": str(torch.get_num_threads()),
        }


def to_pytorch(name: str, array: Floats) -> Floats:
    """nncore's kernels are (KH, KW, C, F) and (in, out), PyTorch's (F, C, KH, KW) and (out, in).

    And where nncore flattens images as (5, 5, 128), PyTorch flattens them as (128, 5, 5).
    """
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    if name == "dense_1.kernel":
        array = array.reshape(5, 5, 128, 256).transpose(2, 0, 1, 3).reshape(3200, 256)
    return array.T


def to_nncore(name: str, array: Floats) -> Floats:
    """The way back."""
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if name == "dense_1.kernel":
        array = array.reshape(256, 128, 5, 5).transpose(0, 2, 3, 1).reshape(256, 3200)
    return array.T


if __name__ == "__main__":
    serve(PyTorch)
