"""Small random distortions of digits: a network trained on them reads hands it has not seen.

Affine and elastic distortions after Simard, Steinkraus & Platt, "Best practices for convolutional neural networks
applied to visual document analysis", ICDAR 2003; their Gaussian field is a cubic B-spline here, as smooth and cheaper.
"""

from dataclasses import dataclass

import numpy as np

from nncore.errors import ShapeError
from nncore.kernels import accelerated
from nncore.types import Array, Bytes

ELASTIC_GRID = 7  # control points a side: on 28 x 28 they stand 7 pixels apart, like a Gaussian of 4 pixels
STREAM = 0xA06  # tells these random numbers from others drawn for the same seed and step


@dataclass(frozen=True)
class Augmentation:
    """How far a digit may be distorted: each amount is drawn evenly between minus and plus the limit given here."""

    rotation: float  # degrees
    shear: float  # pixels sideways for each pixel upwards
    log_scale: float  # natural logarithm, each axis by itself: 0.16 allows sides 0.85 to 1.17 times as long
    shift: float  # pixels, along each axis
    elastic: float  # pixels by which a control point of the elastic field moves, along each axis
    thinner: float  # largest share, 0 to 1, of an erosion by one pixel, which fades thin strokes
    thicker: float  # largest share, 0 to 1, of a dilation by one pixel


AUGMENTATIONS = {
    "light": Augmentation(rotation=8, shear=0.1, log_scale=0.08, shift=1, elastic=0.75, thinner=0.0, thicker=0.0),
    "full": Augmentation(rotation=15, shear=0.25, log_scale=0.16, shift=2, elastic=1.5, thinner=0.3, thicker=0.6),
}
CALM_END = 0.8  # "full-light": from this share of a run's steps on, a network sees digits nearly as people write them
MODES = ("none", *AUGMENTATIONS, "full-light")


def augmentation(mode: str, done: float = 0.0) -> Augmentation | None:
    """The augmentation of one of MODES when the share `done`, 0 to 1, of a run's steps is done; None for "none"."""
    if mode == "full-light":
        mode = "full" if done < CALM_END else "light"
    return AUGMENTATIONS.get(mode)


def augment(images: Bytes, seed: int, step: int, augmentation: Augmentation = AUGMENTATIONS["full"]) -> Bytes:
    """Distort each image in its own way, which depends on `seed` and `step` (both >= 0) and on its place in the batch.

    images: (N, H, W), ink bright on 0. Returns a new array of the same shape; ink that leaves the frame is lost.
    Raises ShapeError where the images are of another kind.
    """
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ShapeError(f"augment: got {images.dtype} of shape {images.shape}; expected uint8 images (N, H, W)")
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, step, STREAM])))
    n = len(images)

    def draw(limit: float, *shape: int) -> Array:
        return rng.uniform(-limit, limit, (n, *shape))

    matrices = affine_matrices(
        rotation=np.radians(draw(augmentation.rotation)),
        shear=draw(augmentation.shear),
        scale=np.exp(draw(augmentation.log_scale, 2)),
        shift=draw(augmentation.shift, 2),
    )
    grids = draw(augmentation.elastic, 2, ELASTIC_GRID, ELASTIC_GRID)
    thickness = rng.uniform(-augmentation.thinner, augmentation.thicker, n)
    return warp(thicken(images, thickness), matrices, grids)


def affine_matrices(rotation: Array, shear: Array, scale: Array, shift: Array) -> Array:
    """The matrices (N, 2, 3) with which `warp` scales, shears, turns and shifts, in this order.

    rotation: (N,), counter-clockwise, in radians. shear: (N,), top to the right. scale, shift: (N, 2), vertical before
    horizontal; the shift in pixels, downwards and to the right.
    """
    turn = np.stack([np.cos(rotation), -np.sin(rotation), np.sin(rotation), np.cos(rotation)], -1).reshape(-1, 2, 2)
    slant = np.tile(np.eye(2), (len(shear), 1, 1))
    slant[:, 1, 0] = -shear  # y points down
    inverse = np.linalg.inv(turn @ slant @ (scale[:, :, None] * np.eye(2)))
    return np.concatenate([inverse, -inverse @ shift[:, :, None]], axis=-1)


@accelerated("images")
def warp(images: Bytes, matrices: Array, grids: Array) -> Bytes:
    """Fetch each pixel from where an affine map and an elastic field say, by bilinear interpolation with zeros around.

    images: (N, H, W). matrices: (N, 2, 3), float64, take (y, x, 1), measured in pixels from the middle of the result,
    to the (y, x) of the source, measured from the middle of the original. grids: (N, 2, G, G) with G >= 4, float64,
    move the source further by so many pixels (y first) at the control points of a uniform cubic B-spline that spans
    the image; the outermost control points lie one step outside it. Returns (N, H, W), rounded half up.
    """
    n, height, width = images.shape
    rows, columns = _spline(height, grids.shape[2]), _spline(width, grids.shape[2])
    middle = np.array([[(height - 1) / 2], [(width - 1) / 2]])
    pixels = np.indices((height, width)).reshape(2, -1)
    points = np.concatenate([pixels - middle, np.ones((1, height * width))])
    out = np.empty_like(images)
    for image in range(n):
        field = rows @ grids[image] @ columns.T
        y, x = (matrices[image] @ points + middle).reshape(2, height, width) + field
        top, left = np.floor(y), np.floor(x)
        value = np.zeros((height, width))
        for i, row_weight in ((top, top + 1 - y), (top + 1, y - top)):
            for j, column_weight in ((left, left + 1 - x), (left + 1, x - left)):
                inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
                source = images[image, i[inside].astype(int), j[inside].astype(int)]
                value[inside] += (row_weight * column_weight)[inside] * source
        out[image] = np.floor(value + 0.5)
    return out


def _spline(length: int, controls: int) -> Array:
    """Weights (length, controls): how far each control point of a uniform cubic B-spline reaches each pixel."""
    pixels = np.linspace(0, controls - 3, length)  # in steps from one control point to the next
    distance = np.abs(pixels[:, None] - np.arange(-1, controls - 1))
    near, far = 2 / 3 - distance**2 + distance**3 / 2, (2 - distance) ** 3 / 6
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))


@accelerated("images")
def thicken(images: Bytes, amounts: Array) -> Bytes:
    """Mix each image with its dilation (amount 0 to 1) or its erosion (amount -1 to 0): thicker or thinner strokes.

    images: (N, H, W). amounts: (N,), float64. The dilation of a pixel is the largest, its erosion the smallest, of it
    and its four neighbours within the image. Returns (N, H, W), rounded half up.
    """
    p = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    cross = np.stack([images, p[:, :-2, 1:-1], p[:, 2:, 1:-1], p[:, 1:-1, :-2], p[:, 1:-1, 2:]])
    amounts = amounts[:, None, None]
    change = np.where(amounts > 0, cross.max(axis=0), cross.min(axis=0)) - images.astype(np.float64)
    out: Bytes = np.floor(images + np.abs(amounts) * change + 0.5).astype(np.uint8)
    return out
