"""A session of the model that `systems/onnxruntime.py` has left in the network's folder."""

import sys

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = onnxruntime.InferenceSession(f"{sys.argv[1]}/model.onnx", options, providers=["CPUExecutionProvider"])
print(session.run(None, {"images": np.load(sys.argv[2])})[0].tolist())
