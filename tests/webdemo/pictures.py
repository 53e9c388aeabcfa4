"""Pictures to send."""

import base64
import io

from PIL import Image, ImageDraw

SEVEN = ((80, 60), (200, 60), (120, 220))


def drawing(*strokes: tuple[tuple[int, int], ...]) -> Image.Image:
    """Strokes on a white canvas of 280 x 280."""
    picture = Image.new("RGB", (280, 280), "white")
    for stroke in strokes:
        ImageDraw.Draw(picture).line(stroke, fill="black", width=16)
    return picture


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def data_url(file: bytes) -> str:
    """A file as canvas.toDataURL() would hand it over."""
    return "data:image/png;base64," + base64.b64encode(file).decode()
