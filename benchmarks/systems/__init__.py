"""The programs that are timed. To add one: a module here that calls `serve`, as `pytorch.py` does, and a row below.

Nothing of them is imported here: each runs in a process of its own, the opponents in an environment of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class System:
    """How to start one program in one configuration.

    Attributes:
        name: what the table calls it.
        module: what runs it, by `python -m`.
        variant: which of its configurations, for the module to understand.
        requirements: what pip installs into the opponents' environment; none: it runs in the Python that runs this.
        environment: variables it is started with.
    """

    name: str
    module: str
    variant: str
    requirements: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


NNCORE = System("nncore", "benchmarks.systems.nncore", "auto")

TORCH = ("torch==2.13.0", "numpy")
KEEP_MEMORY = {  # as nncore does for itself: clearing fresh pages for freed arrays costs PyTorch a quarter of its time
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**28),
}

OPPONENTS = {
    "im2col": System("nncore, im2col", "benchmarks.systems.nncore", "im2col"),
    "pytorch": System("PyTorch, as installed", "benchmarks.systems.pytorch", "plain", TORCH),
    "pytorch-tuned": System(
        "PyTorch, channels_last + fused Adam + memory kept", "benchmarks.systems.pytorch", "tuned", TORCH, KEEP_MEMORY
    ),
    "pytorch-compiled": System(
        "PyTorch, the same + torch.compile", "benchmarks.systems.pytorch", "compiled", TORCH, KEEP_MEMORY
    ),
}
# torch.compile takes a minute to begin, and needs a C++ compiler.
DEFAULT_OPPONENTS = ("im2col", "pytorch", "pytorch-tuned")
