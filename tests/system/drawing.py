"""Digits drawn on the page's pad by program, and sent as the page sends them."""

import base64
import io

import numpy as np
from PIL import Image, ImageDraw

from nncore.data.strokes.skeletons import skeletons

PAD, FINER = 280, 2  # pixels, the pad's side; drawn so many times as large, for soft edges


def drawn_digit(rng: np.random.Generator) -> Image.Image:
    """A digit in one of the styles in which people write it, somewhere on a white pad: RGBA, as a canvas has it."""
    table = skeletons()
    style = rng.integers(len(table.digit))
    points = table.cornered[style] @ (table.controls[style] + rng.normal(0, 0.03, table.controls[style].shape))
    size = PAD * rng.uniform(0.4, 0.65)
    points = (points * size + rng.uniform(20, PAD - size - 20, 2)) * FINER
    page, pen = Image.new("RGBA", (PAD * FINER, PAD * FINER), "white"), int(rng.integers(8, 25)) * FINER
    draw = ImageDraw.Draw(page)
    pairs = zip(points, points[1:], table.pen[style], table.pen[style, 1:], strict=False)
    for start, end, begins, ends in pairs:
        if begins and ends:
            draw.line([tuple(start), tuple(end)], fill="black", width=pen)
            for x, y in (start, end):
                draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill="black")
    return page.reduce(FINER)


def drawn_number(rng: np.random.Generator, digits: int) -> Image.Image:
    """Several digits side by side, each on a pad of its own."""
    row = Image.new("RGBA", (PAD * digits, PAD))
    for i in range(digits):
        row.paste(drawn_digit(rng), (PAD * i, 0))
    return row


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def data_url(file: bytes, kind: str = "png") -> str:
    """A file as canvas.toDataURL() hands it over."""
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
