"""A network as an ONNX model, from images (N, H, W, C) to logits."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.compare.layouts import channels_first
from benchmarks.compare.protocol import BenchmarkError, Network


def exported(network: Network) -> onnx.ModelProto:
    """The model. Images are NCHW in ONNX: transposed at the start, which moves nothing where there is one channel.

    Raises BenchmarkError for a layer that the networks in `benchmarks/compare/networks.py` do not have.
    """
    nodes: list[onnx.NodeProto] = []
    arrays = channels_first(network)
    x = "images"

    def add(kind: str, inputs: list[str], **attributes: Any) -> None:
        nonlocal x
        output = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        x = output

    add("Transpose", [x], perm=(0, 3, 1, 2))
    for layer in network.layers:
        own, settings = [name for name in arrays if name.startswith(f"{layer.name}.")], layer.settings
        match layer.type:
            case "Conv2D":
                (top, bottom), (left, right) = settings["padding"]
                add("Conv", [x, *own], strides=settings["stride"], pads=(top, left, bottom, right))
            case "Dense":
                add("Gemm", [x, *own], transB=1)
            case "BatchNorm":
                add("BatchNormalization", [x, *own], epsilon=settings["epsilon"])
            case "ReLU":
                add("Relu", [x])
            case "MaxPool2D":
                add("MaxPool", [x], kernel_shape=settings["pool_size"], strides=settings["stride"])
            case "Flatten":
                add("Flatten", [x])
            case "Dropout":  # which does nothing where nothing is trained
                pass
            case _:
                raise BenchmarkError(f"{layer.name} cannot be exported")
    tensors = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
    shape: list[str | int | None] = ["N", *network.layers[0].input_shape]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["N", None])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
