"""The programs that are timed. To add one: a module here that calls `serve`, as `pytorch.py` does, and a row below.

Nothing of them is imported here: each runs in a process of its own, the opponents in environments of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class System:
    """How to start one program in one configuration.

    Attributes:
        name: what the tables call it.
        module: what runs it, the name of a module here.
        variant: which of its configurations, for the module to understand.
        requirements: what pip installs into an environment for it; none: it runs in the Python that runs this.
        environment: variables it is started with.
        tasks: what it takes part in: "training", "inference", and "start", the first prediction of a process.
    """

    name: str
    module: str
    variant: str = ""
    requirements: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ("training", "inference")


EVERYTHING = ("training", "inference", "start")
NNCORE = System("nncore", "nncore", "auto", tasks=EVERYTHING)

TORCH = ("torch==2.13.0", "numpy")
TENSORFLOW = ("tensorflow-cpu==2.21.0", "numpy")
JAX = ("jax==0.10.2", "jaxlib==0.10.2", "numpy")
ONNX = ("onnxruntime==1.31.1", "onnx==1.23.2", "numpy")
KEEP_MEMORY = {  # as nncore does for itself: clearing fresh pages for freed arrays costs PyTorch a quarter of its time
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**28),
}
FOR_TENSORFLOW = {**KEEP_MEMORY, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "TF_CPP_MIN_LOG_LEVEL": "2"}

OPPONENTS = {
    "im2col": System("nncore, im2col", "nncore", "im2col"),
    "numpy": System("NumPy, im2col", "numpy_im2col"),
    "pytorch": System("PyTorch, as installed", "pytorch", "plain", TORCH, tasks=EVERYTHING),
    "pytorch-tuned": System("PyTorch, tuned", "pytorch", "tuned", TORCH, KEEP_MEMORY),
    "pytorch-compiled": System("PyTorch, compiled", "pytorch", "compiled", TORCH, KEEP_MEMORY),
    "tensorflow": System("TensorFlow", "tensorflow", "graph", TENSORFLOW, FOR_TENSORFLOW, EVERYTHING),
    "tensorflow-jit": System("TensorFlow, jit_compile", "tensorflow", "jit", TENSORFLOW, FOR_TENSORFLOW),
    "jax": System("JAX", "jax", "jit", JAX, KEEP_MEMORY, EVERYTHING),
    "onnxruntime": System("ONNX Runtime", "onnxruntime", requirements=ONNX, tasks=("inference", "start")),
}
# The configurations that were found to be the best of each, and the plain ones. In training the reference network by
# 128, PyTorch was a quarter slower when compiled; huge pages (THP_MEM_ALLOC_ENABLE, glibc.malloc.hugetlb) and threads
# bound to cores (OMP_PROC_BIND) gave it nothing once memory was kept. TensorFlow was half as fast with jit_compile, and
# without oneDNN; huge pages gave it 4 %, and a second pool of threads (inter_op) 20 % with batch normalisation. Keeping
# memory gave JAX 4 %, and ONNX Runtime nothing.
DEFAULT_OPPONENTS = {
    "training": ("numpy", "pytorch", "pytorch-tuned", "tensorflow", "jax"),
    "inference": ("numpy", "pytorch-tuned", "pytorch-compiled", "tensorflow", "jax", "onnxruntime"),
    "start": ("pytorch", "tensorflow", "jax", "onnxruntime"),
    "epoch": ("pytorch-tuned", "tensorflow"),
}

# What makes programs do as on an older processor. ONNX Runtime cannot be told, nor the part of TensorFlow that is not
# oneDNN.
PROCESSORS: dict[str, dict[str, str]] = {
    "avx2": {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+sse4.2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "sse4.2": {
        "NUMBA_CPU_NAME": "nehalem",
        "NUMBA_CPU_FEATURES": "+sse4.2",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
}
