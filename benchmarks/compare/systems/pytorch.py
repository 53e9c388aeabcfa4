"""PyTorch. Variants: "plain"; "tuned", with channels_last and fused Adam; "compiled", both and torch.compile.

When "compiled" predicts, the weights are frozen: constants, laid out as suits best.
"""

import platform
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._inductor.config
from torch import nn

from benchmarks.compare.layouts import channels_first, channels_last
from benchmarks.compare.protocol import BenchmarkError, Floats, Integers, Layer, Network, read_network, serve

OURS = {  # PyTorch's names for nncore's arrays
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "running_mean": "running_mean",
    "running_variance": "running_var",
}


def built(network: Network) -> Any:  # as an nn.Sequential has a `to` that knows no memory_format
    """The network as one writes it in PyTorch, with its weights."""
    modules = nn.Sequential(OrderedDict((layer.name, module(layer, network)) for layer in network.layers))
    state = {}
    for name, array in channels_first(network).items():
        layer, key = name.split(".")
        state[f"{layer}.{OURS[key]}"] = torch.tensor(np.ascontiguousarray(array))
    modules.load_state_dict(state, strict=False)  # it counts batches, too
    return modules


def module(layer: Layer, network: Network) -> nn.Module:
    """One layer."""
    settings, (*_, channels) = layer.settings, layer.input_shape
    match layer.type:
        case "Conv2D":
            (top, bottom), (left, right) = settings["padding"]
            if (top, left) != (bottom, right):
                raise BenchmarkError(f"{layer.name}: PyTorch pads both sides alike")
            filters, size, stride = settings["filters"], settings["kernel_size"], settings["stride"]
            return nn.Conv2d(channels, filters, size, stride, (top, left), bias=settings["use_bias"])
        case "Dense":
            return nn.Linear(channels, settings["units"], bias=settings["use_bias"])
        case "BatchNorm":
            kind = nn.BatchNorm2d if len(layer.input_shape) == 3 else nn.BatchNorm1d
            return kind(channels, settings["epsilon"], 1 - settings["momentum"])
        case "MaxPool2D":
            return nn.MaxPool2d(settings["pool_size"], settings["stride"])
        case "Dropout":
            return nn.Dropout(settings["rate"])
        case "ReLU":
            return nn.ReLU()
        case "Flatten":
            return nn.Flatten()
    raise BenchmarkError(f"no {layer.type} was written for PyTorch")


class PyTorch:
    """A `Trainer`, see `benchmarks/compare/protocol.py`."""

    def __init__(self, variant: str, threads: int, folder: Path) -> None:
        torch.set_num_threads(threads)
        self.described = read_network(folder)
        self.tuned = variant in ("tuned", "compiled")
        self.network = built(self.described)
        if self.tuned:
            self.network.to(memory_format=torch.channels_last)
        torch._dynamo.reset()
        torch._inductor.config.freezing = variant == "compiled"
        self.forward: Any = torch.compile(self.network, dynamic=False) if variant == "compiled" else self.network
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.001, fused=self.tuned or None)

    def predict(self, images: Floats) -> Floats:
        self.network.eval()
        with torch.inference_mode():
            logits: Floats = self.run(images).numpy()
        return logits

    def gradients(self, images: Floats, labels: Integers) -> dict[str, Floats]:
        self.train_without(nn.Dropout)
        logits = self.run(images)
        self.backward(logits, labels)
        self.network.train()
        gradients = {}
        for name in self.described.arrays:
            layer, key = name.split(".")
            parameter = getattr(getattr(self.network, layer), OURS[key])
            if parameter.grad is not None:
                gradients[name] = parameter.grad.numpy()
        return {"logits": logits.detach().numpy(), **channels_last(self.described, gradients)}

    def train_without(self, kind: type[nn.Module]) -> None:
        self.network.train()
        for part in self.network:
            part.train(not isinstance(part, kind))

    def train(self, images: Floats, labels: Integers) -> float:
        loss = self.backward(self.run(images), labels)
        self.optimizer.step()
        return loss

    def run(self, images: Floats) -> torch.Tensor:
        x = torch.from_numpy(images)
        count, height, width, channels = x.shape
        if channels == 1 and not self.tuned:
            # One channel is either layout at once, and by its strides PyTorch chooses the layout of all that follows.
            x = x.reshape(count, 1, height, width)
        else:
            x = x.permute(0, 3, 1, 2)
            x = x if self.tuned else x.contiguous()
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


if __name__ == "__main__":
    serve(PyTorch)
