"""The demo with ONNX Runtime in the network's place: the same page, server and preprocessing.

    python -m tests.system.onnx_demo --intra-op 1 --port 5000        # further flags as for python -m webdemo

No session is used that does not compute what nncore does.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

import webdemo.app
from benchmarks.compare.networks import write
from benchmarks.compare.protocol import read_network
from benchmarks.compare.systems.onnx_export import exported
from nncore.errors import WeightsError
from nncore.reading.reader import DigitReader
from webdemo.__main__ import main as serve

TOLERANCE = 1e-5  # relative, of the logits: what rounding explains


class OnnxReader(DigitReader):
    """Reads digits with ONNX Runtime. WeightsError where that computes something else than nncore."""

    intra_op = 1

    def __init__(self, weights: str | Path) -> None:
        super().__init__(weights)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.intra_op
        with TemporaryDirectory() as folder:
            write(self.network, Path(folder))
            model = exported(read_network(Path(folder))).SerializeToString()
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        images = np.random.default_rng(0).random((16, 28, 28, 1), np.float32)
        expected, computed = self.network.predict(images), session.run(None, {"images": images})[0]
        difference = float(np.linalg.norm(computed - expected) / np.linalg.norm(expected))
        if not difference <= TOLERANCE:
            raise WeightsError(
                f"ONNX Runtime computes something else from {weights}: the logits differ by {difference}"
            )
        vars(self.network)["predict"] = lambda images: session.run(None, {"images": images})[0]
        vars(self.network)["warm_up"] = lambda: None


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
