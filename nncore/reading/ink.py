"""From a picture file to ink: how much each pixel differs from the paper, whatever the picture.

    file -> open (size and kind checked) -> decode -> at most 1024 x 1024 -> upright -> minus the paper -> ink

Nobody vouches for an uploaded file. It is read with limits on its bytes, its parts and its pixels before anything is
decoded, so that what is accepted takes about a second and 300 MB at most; whatever else is wrong with it becomes a
DataError with a sentence for the person who sent it.
"""

import io
import threading
import warnings
from functools import reduce
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageChops, ImageFilter, UnidentifiedImageError

from nncore.errors import DataError, PictureFormatError
from nncore.reading.components import components, widened
from nncore.types import Bytes, Mask

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_BYTES = 64 * 2**20
MAX_READS = 16_000  # a file of a million empty parts would keep Pillow busy for seconds
MAX_PIXELS = 16_000_000  # of a picture that has to be decoded whole
MAX_JPEG_PIXELS = 50_000_000  # a JPEG can be decoded at an eighth of its size
MAX_SCANS = 250_000_000  # pixels times passes over them: a JPEG may ask for thousands of passes
WORKING_SIDE = 1024  # pixels: a longer side is reduced to between half of this and this
FAINTEST = 25  # of 255 grey levels: where all differ less from the background there is paper, or JPEG noise
FLAT = 2  # grey levels by which the paper of a drawing or a screenshot may vary
FAINTEST_IN_PHOTOS = 60  # of 255: pencil differs from its paper by more, texture by less
DARKEST_PAPER = 64  # grey levels: in the dark, noise is not blown up further
CELLS = 64  # along the longer side of a photo, to estimate its paper
WIDEST_INK = 13  # cells
SMALLEST_INK = 40  # times in the longer side of a photo: what is smaller is texture
ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held, and what undoes it
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_quietly = threading.Lock()  # Python's warning filters belong to all threads


class _Parts(io.BytesIO):
    """A file in memory that refuses to be read in very many parts."""

    left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise DataError("the picture file consists of too many parts; save it anew as PNG or JPEG")
        return super().read(size)


def read_ink(file: str | Path | BinaryIO) -> tuple[Bytes, float]:
    """The ink in a picture, from a path or an open binary file; of an animation, in its first frame.

    Returns (H, W) uint8, 0 on the paper, up to 255; and how many pixels of the picture one of these is wide: 1 unless
    its longer side exceeds 1024. Upright as the camera says. May be called from several threads at once.
    Raises DataError where the file is missing, damaged, not a PNG, JPEG, WebP, GIF or BMP (by its content, not its
    name), larger than 64 MiB, or has more than 16 million pixels (JPEG: 50 million).
    """
    name = str(file) if isinstance(file, str | Path) else "the picture"
    try:
        if isinstance(file, str | Path):
            with open(file, "rb") as opened:
                content = opened.read(MAX_BYTES + 1)
        else:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DataError(f"larger than {MAX_BYTES // 2**20} MiB; make it smaller")
        return _ink_of(content)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except FileNotFoundError as error:
        raise DataError(f"{name}: there is no such file") from error
    except UnidentifiedImageError as error:
        raise PictureFormatError(
            f"{name}: not a picture of a kind that can be read; send one of {', '.join(FORMATS)}"
        ) from error
    except Image.DecompressionBombError:  # which Pillow finds before we can look
        raise DataError(f"{name}: more pixels than the {MAX_JPEG_PIXELS:,} allowed; make it smaller") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file
        raise DataError(
            f"{name}: cannot be read as a picture ({str(error) or 'damaged'}); save it anew as PNG or JPEG"
        ) from error


def _ink_of(content: bytes) -> tuple[Bytes, float]:
    with _quietly, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about damage and size, which are reported below
        picture = Image.open(_Parts(content), formats=FORMATS)
    with picture:
        width, height = picture.size
        is_jpeg = picture.format in ("JPEG", "MPO")
        scans = content.count(b"\xff\xda") if is_jpeg else 1
        most = min(MAX_JPEG_PIXELS, MAX_SCANS // max(scans, 1)) if is_jpeg else MAX_PIXELS
        if width * height > most:
            raise DataError(f"{width} x {height} pixels, more than the {most:,} allowed; make it smaller")
        longer = max(width, height)
        draft = next(d for d in (8, 4, 2, 1) if longer // d >= WORKING_SIDE or d == 1)
        picture.draft(None, (max(width // draft, 1), max(height // draft, 1)))
        draft = round(longer / max(picture.size))
        picture.load()
        factor = -(-max(picture.size) // WORKING_SIDE)
        return _ink_in(_upright(_reduced(picture, factor), picture)), float(draft * factor)


def _reduced(picture: Image.Image, factor: int) -> Image.Image:
    """In a mode whose pixels can be averaged (L, RGB, RGBA, F for 16 bits), averaged over factor x factor pixels."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode[0] in "IF":
        picture = picture.convert("F")
    elif picture.mode not in ("L", "RGB"):
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    return picture.reduce(factor) if factor > 1 else picture


def _upright(picture: Image.Image, original: Image.Image) -> Image.Image:
    try:
        with _quietly, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = original.getexif().get(ORIENTATION)
    except Exception:  # a picture is not worse for nonsense in what is written beside it
        orientation = None
    return picture.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else picture


def _ink_in(picture: Image.Image) -> Bytes:
    """How much each pixel differs from the paper: (H, W), 0 on the paper, at most 255.

    Ink may be darker or brighter than the paper and of any colour: the largest difference over the channels counts.
    Where most of the border has one colour, as in a drawing or a screenshot, that is the paper's, and the ink is the
    difference as it is. Otherwise the picture is a photo (see `_ink_of_photo`). What is transparent is paper too.
    """
    if picture.mode == "F":  # 16 bits: Pillow would cut them off at 255
        values = np.asarray(picture)
        picture = Image.fromarray((values * (255 / max(values.max(), 1e-9))).astype(np.uint8))
    if picture.mode != "RGBA":
        return _ink_on_paper(picture)
    if picture.getchannel("A").getextrema() == (255, 255):
        return _ink_on_paper(picture.convert("RGB"))
    for paper in ("white", "black"):  # white ink on nothing shows only on black
        page = Image.new("RGBA", picture.size, paper)
        page.alpha_composite(picture)
        ink = _ink_on_paper(page.convert("RGB"))
        if ink.any():
            break
    return ink


def _ink_on_paper(picture: Image.Image) -> Bytes:
    channels = [np.asarray(band) for band in picture.split()]
    borders = [np.concatenate([channel[0], channel[-1], channel[:, 0], channel[:, -1]]) for channel in channels]
    papers = [int(np.median(border)) for border in borders]
    alike = [np.abs(border - np.int16(paper)) <= FLAT for border, paper in zip(borders, papers, strict=True)]
    if np.logical_and.reduce(alike).mean() < 0.5:
        return _ink_of_photo(picture)
    ink = np.zeros((picture.height, picture.width), np.uint8)
    for channel, level in zip(channels, papers, strict=True):
        paper = np.uint8(level)
        np.maximum(ink, np.maximum(channel, paper) - np.minimum(channel, paper), out=ink)
    rows, columns = (np.flatnonzero((ink >= FAINTEST).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros_like(ink)
    ink[: rows[0]] = ink[rows[-1] + 1 :] = 0
    ink[:, : columns[0]] = ink[:, columns[-1] + 1 :] = 0
    return ink


def _ink_of_photo(picture: Image.Image) -> Bytes:
    """Ink on paper that is shaded, textured or ruled: (H, W), 0 on the paper, 255 where the ink is dark.

    1. Cells, 64 along the longer side, are averaged. If few of them are much brighter than what surrounds them, rather
       than darker, the ink is bright: the picture is inverted.
    2. Paper is what is left of the cells when everything narrower than 13 of them and darker is filled in (a grey
       closing: Serra, "Image Analysis and Mathematical Morphology", 1982). It follows shadows and their edges.
    3. How much darker than its paper a pixel is, as a share of the paper: ink in the shade is as dark as in the light.
    4. Ink stands out from the noise, and from ruled lines, by half of the darkest ink. What hangs together with the
       picture's edge is none: the desk beside the paper, a ruled line. Without it the darkest ink may be another.
    """
    cell = max(max(picture.size) // CELLS, 1)
    cells = picture.reduce(cell)
    if _ink_is_bright(cells):
        picture, cells = ImageChops.invert(picture), ImageChops.invert(cells)
    cells = cells.filter(ImageFilter.MaxFilter(WIDEST_INK)).filter(ImageFilter.MinFilter(WIDEST_INK))
    whole = cells.width * cell, cells.height * cell
    paper = cells.filter(ImageFilter.BoxBlur(1)).resize(whole, Image.Resampling.BILINEAR)
    paper = paper.crop((0, 0, *picture.size))
    difference = np.asarray(reduce(ImageChops.lighter, ImageChops.subtract(paper, picture).split()))
    share = difference * (np.float32(255) / np.maximum(np.asarray(paper.convert("L")), DARKEST_PAPER))
    darker = np.minimum(share, 255).astype(np.uint8)

    for _ in range(2):
        darker[_no_ink(darker >= _levels(darker)[0])] = 0
    lightest, darkest = _levels(darker)
    if darkest < lightest:
        return np.zeros_like(darker)
    full = max(0.8 * darkest, lightest + 1)
    ramp = np.clip((np.arange(256) - lightest) * (255 / (full - lightest)), 0, 255).astype(np.uint8)
    ink: Bytes = ramp[darker]
    return ink


def _ink_is_bright(cells: Image.Image) -> bool:
    """Whether the cells that differ most from what is usual around them are the brighter ones."""
    grey = cells.convert("L")
    usual = grey.filter(ImageFilter.MedianFilter(WIDEST_INK))
    difference = np.asarray(grey, np.float32) - np.asarray(usual, np.float32)
    return bool((difference**3).sum() > 0)


def _levels(darker: Bytes) -> tuple[float, float]:
    """From where on there is ink, and where the darkest ink is."""
    share = np.cumsum(Image.fromarray(darker).histogram()) / darker.size
    below, middle, darkest = np.searchsorted(share, (0.16, 0.5, 0.999))
    noise = middle + 4 * max(middle - below, 1)  # four standard deviations
    return float(max(FAINTEST_IN_PHOTOS, noise, 0.5 * darkest)), float(darkest)


def _no_ink(mask: Mask) -> Mask:
    """Of a mask (H, W), the components that touch the edge of the picture or are tiny, and a pixel around them."""
    labels, boxes = components(mask)
    top, left, bottom, right = boxes.T
    touching = (top == 0) | (left == 0) | (bottom == mask.shape[0]) | (right == mask.shape[1])
    tiny = np.maximum(bottom - top, right - left) < max(mask.shape) / SMALLEST_INK
    return widened(np.append(False, touching | tiny)[labels])
