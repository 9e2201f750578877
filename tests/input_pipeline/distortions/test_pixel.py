"""Degradations by value have the strength that they name."""

import cv2
import numpy as np
import pytest
import skimage.data

from input_pipeline.distortions.catalogue import DISTORTIONS, LEVELS, distort


@pytest.fixture(scope="module")
def photo():
    return skimage.data.chelsea()[20:276, 100:356]


def degrade(photo, name, level, seed=0):
    return distort(photo, name, level, np.random.default_rng(seed))


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
