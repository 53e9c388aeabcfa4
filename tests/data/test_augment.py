from dataclasses import replace

import numpy as np
import pytest

from nncore.data.augment import AUGMENTATIONS, MODES, Augmentation, affine_matrices, augment, augmentation, warp
from nncore.errors import ShapeError

NOTHING = Augmentation(rotation=0, shear=0, log_scale=0, shift=0, elastic=0, thinner=0, thicker=0)
FULL = AUGMENTATIONS["full"]


def blobs(n):
    """A soft disc of radius 5 in the middle of each of n images."""
    y, x = np.indices((28, 28)) - 13.5
    return np.tile((255 * np.clip(6 - np.hypot(y, x), 0, 1)).astype(np.uint8), (n, 1, 1))


def barycentre(images):
    ink = images.astype(float)
    return np.stack([(ink * axis).sum((1, 2)) / ink.sum((1, 2)) for axis in np.indices(images.shape[1:])])


def moved(images, rotation=0.0, shear=0.0, scale=(1.0, 1.0), shift=(0.0, 0.0)):
    one = affine_matrices(np.array([rotation]), np.array([shear]), np.array([scale]), np.array([shift]))
    return warp(images, one, np.zeros((1, 2, 4, 4)))


def test_no_distortion_gives_back_the_images_and_leaves_them(rng):
    images = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    before = images.copy()
    np.testing.assert_array_equal(augment(images, 1, 2, NOTHING), images)
    assert not np.array_equal(augment(images, 1, 2), before)
    np.testing.assert_array_equal(images, before)


def test_seed_and_step_alone_decide(rng):
    images = rng.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    first = augment(images, 3, 10)
    np.testing.assert_array_equal(augment(images, 3, 10), first)
    assert not np.array_equal(augment(images, 3, 11), first)
    assert not np.array_equal(augment(images, 10, 3), first)
    same = augment(np.repeat(images[:1], 4, axis=0), 3, 10)
    assert len({image.tobytes() for image in same}) == 4


@pytest.mark.parametrize("shape", [(0, 28, 28), (1, 28, 28), (3, 17, 32)])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_any_number_and_size_of_images(rng, name, shape):
    out = augment(rng.integers(0, 256, shape, dtype=np.uint8), 0, 0, AUGMENTATIONS[name])
    assert out.shape == shape
    assert out.dtype == np.uint8


@pytest.mark.parametrize("wrong", [np.zeros((2, 28, 28), np.float32), np.zeros((2, 28, 28, 1), np.uint8)])
def test_other_arrays_are_refused(wrong):
    with pytest.raises(ShapeError, match=r"expected uint8 images \(N, H, W\)"):
        augment(wrong, 0, 0)


def test_shifts_fill_their_range_and_no_more():
    images = blobs(2000)
    shift = barycentre(augment(images, 5, 0, replace(NOTHING, shift=2))) - barycentre(images)
    assert np.abs(shift).max() < 2.01
    assert (shift.max(axis=1) > 1.95).all()
    assert (shift.min(axis=1) < -1.95).all()
    np.testing.assert_allclose(shift.mean(axis=1), 0, atol=6 * (2 / 3**0.5) / 2000**0.5)


def test_scale_keeps_within_its_range():
    images = blobs(500)
    area = augment(images, 5, 1, replace(NOTHING, log_scale=0.16)).sum((1, 2), dtype=float) / images[0].sum()
    assert np.exp(-0.34) < area.min() < np.exp(-0.2)
    assert np.exp(0.34) > area.max() > np.exp(0.2)


def test_thickness_makes_more_and_less_ink():
    images = blobs(200)
    ink = augment(images, 5, 2, replace(NOTHING, thinner=0.3, thicker=0.6)).sum((1, 2), dtype=float) / images[0].sum()
    assert 0.8 < ink.min() < 0.95
    assert 1.25 > ink.max() > 1.15


def test_directions():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 4:7, 12:16] = 255  # a mark at the top, 8.5 pixels above the middle
    np.testing.assert_allclose(barycentre(moved(image, rotation=np.pi / 2))[:, 0], [13.5, 5.0], atol=0.01)
    np.testing.assert_allclose(barycentre(moved(image, shear=0.5))[:, 0], [5, 13.5 + 4.25], atol=0.05)
    np.testing.assert_allclose(barycentre(moved(image, scale=(0.5, 1)))[:, 0], [13.5 - 4.25, 13.5], atol=0.3)
    np.testing.assert_allclose(barycentre(moved(image, shift=(3, -2.5)))[:, 0], [8, 11], atol=0.01)


def test_full_strength_loses_hardly_any_ink():
    image = np.zeros((1, 28, 28), np.uint8)
    image[:, 4:24, 12:16] = 255  # as tall as MNIST's digits are
    far = augment(np.pad(np.repeat(image, 500, axis=0), ((0, 0), (14, 14), (14, 14))), 0, 0, replace(FULL, elastic=0))
    near = augment(np.repeat(image, 500, axis=0), 0, 0, replace(FULL, elastic=0))
    lost = 1 - near.sum((1, 2), dtype=float) / far.sum((1, 2), dtype=float)
    assert lost.mean() < 0.002
    assert lost.max() < 0.1


def test_the_end_of_a_run_is_calmer_only_where_asked():
    light, full = AUGMENTATIONS["light"], AUGMENTATIONS["full"]
    for done in (0.0, 0.5, 0.79, 0.8, 1.0):
        assert augmentation("none", done) is None
        assert augmentation("light", done) is light
        assert augmentation("full", done) is full
        assert augmentation("full-light", done) is (full if done < 0.8 else light)
    assert [bool(augmentation(mode)) for mode in MODES] == [False, True, True, True]
