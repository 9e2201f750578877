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


def test_impulses_are_black_or_white_and_as_many_as_named():
    grey = np.full((256, 256, 3), 128, np.uint8)
    for level, share in zip(LEVELS, DISTORTIONS["impulse_noise"].strengths, strict=True):
        noisy = degrade(grey, "impulse_noise", level)
        assert set(np.unique(noisy)) == {0, 128, 255}
        assert (noisy != 128).any(axis=-1).mean() == pytest.approx(share, rel=0.15)
        assert (noisy == 0).mean() == pytest.approx(share / 2, rel=0.2)


def test_chroma_noise_leaves_the_luma():
    grey = np.full((128, 128, 3), 128, np.uint8)
    noisy = degrade(grey, "chroma_noise", 1)
    chroma = cv2.cvtColor(noisy, cv2.COLOR_RGB2YCrCb).astype(float) / 255
    variance = DISTORTIONS["chroma_noise"].strengths[0]
    assert np.var(chroma[..., 0]) < variance / 100
    assert np.var(chroma[..., 1]) == pytest.approx(variance, rel=0.05)
    assert np.var(chroma[..., 2]) == pytest.approx(variance, rel=0.05)


def test_speckle_grows_with_the_light():
    dark, light = (np.full((256, 256, 3), value, np.uint8) for value in (40, 80))
    spreads = [degrade(image, "multiplicative_noise", 1).std() for image in (dark, light)]
    variance = DISTORTIONS["multiplicative_noise"].strengths[0]
    assert spreads[0] == pytest.approx(40 * np.sqrt(variance), rel=0.03)
    assert spreads[1] == pytest.approx(2 * spreads[0], rel=0.02)


def test_the_mean_is_shifted_both_ways():
    grey = np.full((8, 8, 3), 128, np.uint8)
    found = {int(degrade(grey, "mean_shift", 2, seed)[0, 0, 0]) for seed in range(20)}
    assert found == {98, 158}


def test_no_saturation_is_grey_and_less_turns_hues_over():
    red = np.full((2, 2, 3), (180, 90, 90), np.uint8)
    grey = degrade(red, "saturation", 3)
    assert np.ptp(grey) == 0
    turned = degrade(red, "saturation", 4)[0, 0].astype(int)
    assert turned[0] < turned[1] == turned[2]


def test_dither_keeps_so_many_colours(photo):
    for level, colours in zip(LEVELS, DISTORTIONS["dither"].strengths, strict=True):
        found = np.unique(degrade(photo, "dither", level).reshape(-1, 3), axis=0)
        assert len(found) <= colours


def test_colours_move_apart():
    point = np.zeros((65, 65, 3), np.uint8)
    point[32, 32] = 255
    shifted = degrade(point, "colour_shift", 3)
    places = [np.argwhere(shifted[..., channel])[0] - 32 for channel in range(3)]
    pixels = DISTORTIONS["colour_shift"].strengths[2]
    assert np.linalg.norm(places[0]) == pytest.approx(pixels, abs=1)
    assert (places[1] == 0).all()
    np.testing.assert_allclose(places[2], -places[0] / 2, atol=1)


@pytest.mark.parametrize("name", ["block_errors", "misplaced_patches"])
def test_squares_add_to_those_of_the_level_before(name):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (384, 512, 3), np.uint8)
    changed = [(degrade(noise, name, level) != noise).any(axis=-1) for level in LEVELS]
    for level, share in enumerate(DISTORTIONS[name].strengths):
        # Squares overlap the more the more there are.
        assert 0.7 * (1 - np.exp(-share)) < changed[level].mean() < 1.1 * share
    for milder, worse in zip(changed, changed[1:], strict=False):
        # A patch may be copied over an earlier one, but for a rare pixel never unchanged.
        assert (milder & ~worse).mean() < 1e-3


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
