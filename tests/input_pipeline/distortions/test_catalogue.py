"""Each kind degrades more with each level, repeats itself, and keeps to its region."""

import cv2
import numpy as np
import pytest
import skimage.data
from skimage.metrics import structural_similarity

from input_pipeline.distortions.catalogue import DISTORTIONS, LEVELS, distort, distort_region

KINDS = pytest.mark.parametrize("name", DISTORTIONS)


@pytest.fixture(scope="module")
def photo():
    return skimage.data.chelsea()[20:276, 100:356]


@pytest.fixture(scope="module")
def mask(photo):
    rows, columns = np.ogrid[: photo.shape[0], : photo.shape[1]]
    return (rows - 90) ** 2 + (columns - 60) ** 2 < 80**2


def degrade(photo, name, level, seed=0):
    return distort(photo, name, level, np.random.default_rng(seed))


# Kinds in which different random numbers give different pictures.
CHANCE = {
    *("motion_blur", "white_noise", "chroma_noise", "multiplicative_noise", "impulse_noise"),
    *("mean_shift", "colour_shift", "block_errors", "misplaced_patches"),
}
# Kinds that leave most pixels as they are at a mild level.
LOCAL = {"impulse_noise", "block_errors", "misplaced_patches"}


@KINDS
@pytest.mark.parametrize("side", [128, 256])
def test_every_level_is_worse_than_the_one_before(photo, name, side):
    photo = np.ascontiguousarray(photo[:side, :side])
    degraded = [degrade(photo, name, level) for level in LEVELS]
    quality = [cv2.PSNR(photo, image) for image in degraded]
    assert quality[0] < 40
    assert (np.diff(quality) < -0.5).all(), quality
    likeness = [structural_similarity(photo, image, channel_axis=2) for image in degraded]
    assert likeness[0] < 0.995
    assert (np.diff(likeness) < 0).all(), likeness


@KINDS
@pytest.mark.parametrize("shape", [(256, 256), (31, 47), (1, 1)])
def test_shape_type_and_input_are_kept(photo, name, shape):
    image = np.ascontiguousarray(photo[: shape[0], : shape[1]])
    before = image.copy()
    for level in LEVELS:
        degraded = degrade(image, name, level)
        assert degraded.shape == image.shape and degraded.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@KINDS
def test_same_generator_same_picture(photo, name):
    np.testing.assert_array_equal(degrade(photo, name, 3), degrade(photo, name, 3))
    # Of two seeds, for a choice between two is the same with every other.
    others = [degrade(photo, name, 3, seed) for seed in range(1, 5)]
    changes = any((degrade(photo, name, 3) != other).any() for other in others)
    assert changes == (name in CHANCE)


@KINDS
@pytest.mark.parametrize("level", [1, 5])
def test_region_changes_only_masked_pixels(photo, mask, name, level):
    degraded = distort_region(photo, name, level, mask, np.random.default_rng(0))
    np.testing.assert_array_equal(degraded[~mask], photo[~mask])
    # Its core is the fully degraded picture.
    core = cv2.erode(mask.astype(np.uint8), np.ones((19, 19))).astype(bool)
    np.testing.assert_array_equal(degraded[core], degrade(photo, name, level)[core])
    share = (degraded != photo).any(axis=-1)[mask].mean()
    assert share > (0 if name in LOCAL else 0.9 if level == 5 else 0.5)


def test_region_over_everything_is_the_whole_image_up_to_its_border(photo):
    mask = np.ones(photo.shape[:2], bool)
    degraded = distort_region(photo, "jpeg", 3, mask, np.random.default_rng(0))
    np.testing.assert_array_equal(degraded, degrade(photo, "jpeg", 3))


@pytest.mark.parametrize("level", [0, 6, -1, 2.5, None])
def test_unknown_levels_are_refused_with_the_choices(photo, level):
    with pytest.raises(ValueError, match="1, 2, 3, 4, 5"):
        degrade(photo, "jpeg", level)


def test_unknown_names_and_images_are_refused(photo, mask):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="gaussian_blur, motion_blur"):
        distort(photo, "blurr", 1, rng)
    for image in (photo / 255.0, photo[..., 0], photo[..., :2]):
        with pytest.raises(ValueError, match="uint8"):
            distort(image, "jpeg", 1, rng)
    for bad_mask in (mask[:-1], mask.astype(np.uint8), np.zeros_like(mask)):
        with pytest.raises(ValueError, match="mask"):
            distort_region(photo, "jpeg", 1, bad_mask, rng)
