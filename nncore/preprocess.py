"""From any picture of a digit to the 28 x 28 that the network expects.

    picture file -> read_picture -> (28, 28) uint8 -> network_input -> float32 of 0 to 1

MNIST's digits were not photographed at 28 x 28: they are ink, scaled to fit 20 x 20 and moved to where it balances. A
digit that is not treated likewise is one the network has never seen. The steps are those which Yadav & Bottou, "Cold
case: the lost MNIST digits", NeurIPS 2019 (github.com/facebookresearch/qmnist), found to come closest to MNIST itself.
"""

import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nncore.errors import DataError, ShapeError
from nncore.types import Array, Bytes, Mask

FRAME = 28  # pixels, the side of the result
BOX = 20  # pixels, the longer side of the ink in it
SMALLEST = 10  # pixels: smaller ink is not enlarged further than this would be, so that a dot stays a dot
FAINTEST = 25  # of 255 grey levels: where all differ less from the background there is paper, or JPEG noise
MOST_PIXELS = 50_000_000  # of a picture file: a small file may claim any size and fill the memory
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")


def read_picture(file: str | Path | BinaryIO) -> Bytes:
    """Read a picture of one digit, from a path or an open file: (28, 28), ink bright, all 0 where it is blank.

    Raises DataError where the file is missing, damaged, not a picture, or has more than 50 million pixels.
    """
    name = file if isinstance(file, str | Path) else "the picture"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about damage that we report, or size that we check, ourselves
        try:
            with Image.open(file, formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    raise DataError(
                        f"{name}: {width} x {height} pixels, more than the {MOST_PIXELS:,} allowed; make it smaller"
                    )
                return centre_digit(ink_from_picture(picture))
        except DataError:
            raise
        except FileNotFoundError as error:
            raise DataError(f"{name}: there is no such file") from error
        except UnidentifiedImageError as error:
            raise DataError(f"{name}: cannot be read as a picture; expected one of {', '.join(FORMATS)}") from error
        except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file
            raise DataError(
                f"{name}: cannot be read as a picture ({error}); expected one of {', '.join(FORMATS)}"
            ) from error


def ink_from_picture(picture: Image.Image) -> Bytes:
    """How much each pixel differs from the background: (H, W), 0 on the background, at most 255.

    The colour of the background is the median along the border, so ink may be darker or brighter, and of any colour.
    What is transparent is background too. Takes every mode that Pillow can turn into RGB, and grey of 16 and 32 bits;
    obeys the EXIF rotation.
    """
    picture = ImageOps.exif_transpose(picture)
    if picture.mode[0] in "IF":  # Pillow would cut such values off at 255
        values = np.nan_to_num(np.asarray(picture, np.float64), posinf=0).clip(0)
        picture = Image.fromarray((values * (255 / max(values.max(), 1e-9))).astype(np.uint8))
    if not picture.has_transparency_data:
        return _difference_from_border(picture)
    picture = picture.convert("RGBA")
    for paper in ("white", "black"):  # white ink on nothing shows only on black
        page = Image.new("RGBA", picture.size, paper)
        page.alpha_composite(picture)
        ink = _difference_from_border(page)
        if ink.any():
            break
    return ink


def _difference_from_border(picture: Image.Image) -> Bytes:
    """The largest difference, over the colour channels, of each pixel from the median of the border: (H, W)."""
    ink = np.zeros((picture.height, picture.width), np.uint8)
    for band in picture.convert("L" if picture.mode in ("1", "L") else "RGB").split():
        channel = np.asarray(band)
        border = np.concatenate([channel[0], channel[-1], channel[:, 0], channel[:, -1]])
        paper = np.uint8(np.median(border))
        np.maximum(ink, np.maximum(channel, paper) - np.minimum(channel, paper), out=ink)
    cleaned = np.zeros_like(ink)
    box = _box(ink >= FAINTEST)
    cleaned[box] = ink[box]
    return cleaned


def centre_digit(ink: Bytes | Array) -> Bytes:
    """MNIST's own procedure: ink of any size (H, W), 0 on the background -> (28, 28); all 0 where there is no ink.

    The longer side of the ink becomes 20 pixels by area averaging, proportions kept; its darkest pixel becomes 255; and
    it is moved by whole pixels so that its barycentre falls into pixel (14, 14) of 0 to 27, as in MNIST, or as near to
    it as leaves all ink in the frame.
    """
    if ink.ndim != 2:
        raise ShapeError(f"centre_digit: got an array of shape {ink.shape}; expected one grey picture, (H, W)")
    frame = np.zeros((FRAME, FRAME), np.uint8)
    digit = ink[_box(ink > 0)].astype(np.float32)
    if digit.size:
        height, width = digit.shape
        side = max(height, width, SMALLEST)
        boxed = _area_weights(height, side) @ digit @ _area_weights(width, side).T
        boxed = np.floor(boxed / boxed.max() * 255 + 0.5)
        digit = boxed[_box(boxed > 0)]
        top, left = _offset(digit.sum(axis=1)), _offset(digit.sum(axis=0))
        frame[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return frame


def _box(mask: Mask) -> tuple[slice, slice]:
    """The smallest rectangle that holds every True of a mask (H, W); an empty one where there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _area_weights(length: int, side: int) -> Array:
    """For each of 20 equal parts of a `side`, how much of it each of the `length` pixels in its middle covers.

    (20, length); the parts' averages are this matrix times the pixels.
    """
    pixel = (side - length) // 2 + np.arange(length)
    part = np.linspace(0, side, BOX + 1)[:, None]
    covered = np.minimum(part[1:], pixel + 1) - np.maximum(part[:-1], pixel)
    weights: Array = (np.maximum(covered, 0) * (BOX / side)).astype(np.float32)
    return weights


def _offset(weights: Array) -> int:
    """Where in the frame the digit's first row (or column) goes, given the ink in each of its rows (or columns)."""
    barycentre = weights @ (np.arange(len(weights)) + 0.5) / weights.sum()
    return int(np.clip(15 - barycentre, 0, FRAME - len(weights)))


def network_input(images: Bytes) -> Array:
    """Images as the network takes them: (N, 28, 28), 0 to 255 -> float32 (N, 28, 28, 1), 0 to 1."""
    return (images / np.float32(255))[..., None]
