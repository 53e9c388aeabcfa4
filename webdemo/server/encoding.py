"""Arrays as text: what the API puts into JSON."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from nncore.types import Array, Bytes


def png_url(image: Bytes) -> str:
    """A grey picture (H, W) as the data URL of a PNG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)  # 28 x 28: more would take longer and save nothing
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def packed(image: Bytes) -> str:
    """The grey levels of a picture, row by row, in base64."""
    return base64.b64encode(image.tobytes()).decode()


def packed_map(values: Array) -> dict[str, Any]:
    """Numbers rounded to 127 steps up and down of the largest, as int8 in base64, with what is lost by that."""
    values = values.astype(np.float64)  # gradients that all but vanish, squared or divided by, are beyond float32
    largest = float(abs(values).max(initial=0))
    steps = np.rint(127 * (values / (largest or 1))).astype(np.int8)
    return {
        "shape": values.shape,
        "largest": largest,
        "norm": float(np.linalg.norm(values)),
        "data": base64.b64encode(steps.tobytes()).decode(),
    }
