"""Each kind degrades more with each level, repeats itself, and keeps to its region."""

import cv2
import numpy as np
import pytest
import skimage.data

from input_pipeline.distortions import DISTORTIONS, LEVELS, distort, distort_region

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


@KINDS
def test_every_level_is_worse_than_the_one_before(photo, name):
    quality = [cv2.PSNR(photo, degrade(photo, name, level)) for level in LEVELS]
    assert quality[0] < 40
    assert (np.diff(quality) < -0.5).all(), quality


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
    has_chance = name in ("motion_blur", "white_noise")
    assert (degrade(photo, name, 3) != degrade(photo, name, 3, seed=1)).any() == has_chance


@KINDS
@pytest.mark.parametrize("level", [1, 5])
def test_region_changes_only_masked_pixels(photo, mask, name, level):
    degraded = distort_region(photo, name, level, mask, np.random.default_rng(0))
    np.testing.assert_array_equal(degraded[~mask], photo[~mask])
    # Its core is the fully degraded picture.
    core = cv2.erode(mask.astype(np.uint8), np.ones((19, 19))).astype(bool)
    np.testing.assert_array_equal(degraded[core], degrade(photo, name, level)[core])
    assert (degraded != photo).any(axis=-1)[mask].mean() > (0.9 if level == 5 else 0.5)


def test_region_over_everything_is_the_whole_image_up_to_its_border(photo):
    mask = np.ones(photo.shape[:2], bool)
    degraded = distort_region(photo, "jpeg", 3, mask, np.random.default_rng(0))
    np.testing.assert_array_equal(degraded, degrade(photo, "jpeg", 3))


def test_blur_has_the_sigma_it_names():
    square = np.zeros((129, 129, 3), np.uint8)
    square[32:97, 32:97] = 255
    for level, sigma in zip(LEVELS[:3], DISTORTIONS["gaussian_blur"].strengths, strict=False):
        profile = np.diff(degrade(square, "gaussian_blur", level)[64, :65, 0].astype(float))
        position = np.arange(64)
        mean = (profile * position).sum() / profile.sum()
        spread = np.sqrt((profile * (position - mean) ** 2).sum() / profile.sum())
        assert spread == pytest.approx(sigma, rel=0.05)


def test_motion_smears_along_one_line_of_the_given_length():
    point = np.zeros((129, 129, 3), np.uint8)
    point[64, 64] = 255
    for seed in range(5):
        smeared = degrade(point, "motion_blur", 3, seed)[..., 0].astype(float)
        coordinates = np.argwhere(smeared > 0)
        weights = smeared[smeared > 0]
        np.testing.assert_allclose(np.average(coordinates, axis=0, weights=weights), 64, atol=0.1)
        spread = np.linalg.eigvalsh(np.cov(coordinates.T, aweights=weights))
        length = DISTORTIONS["motion_blur"].strengths[2]
        assert spread[0] < 0.6
        assert np.sqrt(12 * spread[1]) == pytest.approx(length, rel=0.15)


def test_motion_does_not_change_brightness(photo):
    smeared = degrade(photo, "motion_blur", 4)
    assert smeared.mean() == pytest.approx(photo.mean(), abs=1)


def test_noise_has_the_variance_it_names():
    grey = np.full((256, 256, 3), 128, np.uint8)
    for level, variance in zip((1, 2), DISTORTIONS["white_noise"].strengths, strict=False):
        noise = degrade(grey, "white_noise", level) / 255 - 128 / 255
        assert noise.var() == pytest.approx(variance, rel=0.03)
        assert abs(noise.mean()) < 1e-3
        assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02


def test_exposure_is_in_stops_of_light():
    # sRGB 188 emits half the light of 255.
    grey = np.full((2, 2, 3), 188, np.uint8)
    darker = degrade(np.full((2, 2, 3), 255, np.uint8), "under_exposure", 1)
    assert DISTORTIONS["under_exposure"].strengths[0] == -1
    assert (darker == 188).all()
    assert (degrade(grey, "over_exposure", 2) == 255).all()
    assert (degrade(np.zeros_like(grey), "over_exposure", 5) == 0).all()


def test_contrast_shrinks_towards_the_mean(photo):
    for level, factor in zip(LEVELS, DISTORTIONS["contrast_loss"].strengths, strict=True):
        degraded = degrade(photo, "contrast_loss", level)
        assert degraded.std() < photo.std()
        for channel in range(3):
            before, after = photo[..., channel], degraded[..., channel]
            assert after.mean() == pytest.approx(before.mean(), abs=0.5)
            assert after.std() == pytest.approx(factor * before.std(), rel=0.02)


def test_quantisation_leaves_few_shades(photo):
    for level, step in zip(LEVELS, DISTORTIONS["colour_quantisation"].strengths, strict=True):
        shades = np.unique(degrade(photo, "colour_quantisation", level))
        assert set(shades) <= {min(round(index * step), 255) for index in range(11)}


def test_jpeg_keeps_rgb_order_and_coarsens_with_quality():
    red = np.full((32, 32, 3), (250, 10, 10), np.uint8)
    assert np.abs(degrade(red, "jpeg", 1).astype(int) - red).max() < 20


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
