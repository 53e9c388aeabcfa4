"""A convolutional network written by hand in NumPy and Numba.

The names below are imported when they are first used. So a program can choose how it uses the machine before NumPy
starts its threads (see `nncore.machine`), and importing nncore changes nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nncore.layers import AvgPool2D as AvgPool2D
    from nncore.layers import BatchNorm as BatchNorm
    from nncore.layers import Conv2D as Conv2D
    from nncore.layers import Dense as Dense
    from nncore.layers import Dropout as Dropout
    from nncore.layers import Flatten as Flatten
    from nncore.layers import GlobalAvgPool2D as GlobalAvgPool2D
    from nncore.layers import LeakyReLU as LeakyReLU
    from nncore.layers import MaxPool2D as MaxPool2D
    from nncore.layers import ReLU as ReLU
    from nncore.layers import Sigmoid as Sigmoid
    from nncore.layers import Softmax as Softmax
    from nncore.layers import Tanh as Tanh
    from nncore.losses import MeanSquaredError as MeanSquaredError
    from nncore.losses import SoftmaxCrossEntropy as SoftmaxCrossEntropy
    from nncore.network.sequential import Sequential as Sequential

_LAYERS = (
    "AvgPool2D BatchNorm Conv2D Dense Dropout Flatten GlobalAvgPool2D LeakyReLU MaxPool2D ReLU Sigmoid Softmax Tanh"
)
_MODULES = {
    **dict.fromkeys(_LAYERS.split(), "layers"),
    **dict.fromkeys(("MeanSquaredError", "SoftmaxCrossEntropy"), "losses"),
    "Sequential": "network.sequential",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
