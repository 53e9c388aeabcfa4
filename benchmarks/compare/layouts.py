"""nncore's arrays as programs have them that keep channels first: PyTorch and ONNX.

nncore's kernels are (KH, KW, C, F) and (in, out), theirs (F, C, KH, KW) and (out, in). And where nncore flattens images
as (H, W, C), they flatten them as (C, H, W), which the dense layer that comes next must know.
"""

from collections.abc import Mapping

from benchmarks.compare.protocol import Floats, Network


def channels_first(network: Network) -> dict[str, Floats]:
    """Every array of the network as they have it."""
    arrays = dict(network.arrays)
    for name, image in _kernels(network).items():
        kernel = arrays[name]
        if kernel.ndim == 4:
            arrays[name] = kernel.transpose(3, 2, 0, 1)
        elif image:
            height, width, channels = image
            arrays[name] = kernel.reshape(height, width, channels, -1).transpose(3, 2, 0, 1).reshape(-1, len(kernel))
        else:
            arrays[name] = kernel.T
    return arrays


def channels_last(network: Network, theirs: Mapping[str, Floats]) -> dict[str, Floats]:
    """The way back, for parameters or their gradients."""
    arrays = dict(theirs)
    for name, image in _kernels(network).items():
        kernel = arrays[name]
        if kernel.ndim == 4:
            arrays[name] = kernel.transpose(2, 3, 1, 0)
        elif image:
            height, width, channels = image
            arrays[name] = kernel.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(-1, len(kernel))
        else:
            arrays[name] = kernel.T
    return arrays


def _kernels(network: Network) -> dict[str, tuple[int, ...]]:
    """The kernels by name, and for a dense layer the shape of the image that was flattened for it, if any."""
    kernels: dict[str, tuple[int, ...]] = {}
    flattened: tuple[int, ...] = ()
    for layer in network.layers:
        if layer.type == "Flatten" and len(layer.input_shape) == 3:
            flattened = layer.input_shape
        elif layer.type in ("Conv2D", "Dense"):
            kernels[f"{layer.name}.kernel"] = flattened
            flattened = ()
    return kernels
