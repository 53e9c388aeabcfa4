"""ONNX Runtime on an exported copy of the same weights; it only predicts."""

import platform
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.compare.protocol import Floats, read_network, serve
from benchmarks.compare.systems.onnx_export import exported


class OnnxRuntime:
    """A `Program`, see `benchmarks/compare/protocol.py`. Leaves `model.onnx` in the network's folder."""

    def __init__(self, variant: str, threads: int, folder: Path) -> None:
        model = folder / "model.onnx"
        model.write_bytes(exported(read_network(folder)).SerializeToString())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads = threads
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def predict(self, images: Floats) -> Floats:
        logits: Floats = self.session.run(None, {"images": images})[0]
        return logits

    def versions(self) -> dict[str, str]:
        return {
            "Python": platform.python_version(),
            "ONNX Runtime": onnxruntime.__version__,
            "NumPy": np.__version__,
            "threads": str(self.threads),
        }


if __name__ == "__main__":
    serve(OnnxRuntime)
