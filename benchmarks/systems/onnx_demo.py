"""The demo with ONNX Runtime in the network's place: the same page, server and preprocessing.

    python -m benchmarks.systems.onnx_demo --intra-op 1 --port 5000        # further flags as for python -m webdemo

No session is used that does not compute what nncore does.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx  # type: ignore[import-not-found, unused-ignore]
import onnxruntime  # type: ignore[import-not-found, import-untyped, unused-ignore]
from onnx import TensorProto, helper, numpy_helper  # type: ignore[import-not-found, unused-ignore]

import webdemo.app
from nncore.errors import WeightsError
from nncore.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from nncore.reader import DigitReader
from nncore.sequential import Sequential
from nncore.types import Array
from webdemo.__main__ import main as serve

TOLERANCE = 1e-5  # relative, of the logits: what rounding explains


def exported(network: Sequential) -> onnx.ModelProto:
    """The network as an ONNX model from (N, 28, 28, 1) to logits.

    Images are NCHW in ONNX: transposed at the start (which moves nothing where there is one channel), and back before
    they are flattened. Raises WeightsError for a layer that the reference network does not have.
    """
    nodes: list[onnx.NodeProto] = []
    arrays: dict[str, Array] = {}
    x = "images"

    def add(kind: str, inputs: list[str], **attributes: Any) -> None:
        nonlocal x
        output = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        x = output

    add("Transpose", [x], perm=(0, 3, 1, 2))
    for name, layer in zip(network.names, network.layers, strict=True):
        parameters = {f"{name}.{key}": array for key, array in layer.parameters.items()}
        arrays.update(parameters)
        match layer:
            case Conv2D(padding="valid"):
                arrays[f"{name}.kernel"] = layer.parameters["kernel"].transpose(3, 2, 0, 1)
                add("Conv", [x, *parameters], strides=layer.stride)
            case Dense():
                add("Gemm", [x, *parameters])
            case ReLU():
                add("Relu", [x])
            case MaxPool2D():
                add("MaxPool", [x], kernel_shape=layer.pool_size, strides=layer.stride)
            case Flatten():
                add("Transpose", [x], perm=(0, 2, 3, 1))
                add("Flatten", [x])
            case Dropout():  # which does nothing where nothing is trained
                pass
            case _:
                raise WeightsError(f"{layer.describe()} cannot be exported")
    tensors = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", *network.input_shape])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["N", *network.output_shape])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


class OnnxReader(DigitReader):
    """Reads digits with ONNX Runtime. WeightsError where that computes something else than nncore."""

    intra_op = 1

    def __init__(self, weights: str | Path) -> None:
        super().__init__(weights)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.intra_op
        model = exported(self.network).SerializeToString()
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        images = np.random.default_rng(0).random((16, 28, 28, 1), np.float32)
        expected, computed = self.network.predict(images), session.run(None, {"images": images})[0]
        difference = float(np.linalg.norm(computed - expected) / np.linalg.norm(expected))
        if not difference <= TOLERANCE:
            raise WeightsError(
                f"ONNX Runtime computes something else from {weights}: the logits differ by {difference}"
            )
        vars(self.network)["predict"] = lambda images: session.run(None, {"images": images})[0]


def main() -> int:
    """Serve, with the flags of python -m webdemo and one more."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--intra-op", type=int, default=1, metavar="N", help="threads for one picture")
    options, rest = parser.parse_known_args()
    OnnxReader.intra_op = options.intra_op
    vars(webdemo.app)["DigitReader"] = OnnxReader
    sys.argv[1:] = rest
    return serve()


if __name__ == "__main__":
    sys.exit(main())
