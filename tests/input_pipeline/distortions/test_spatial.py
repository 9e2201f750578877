"""Degradations that move or recode pixels have the strength that they name."""

import numpy as np
import pytest
import skimage.data

from input_pipeline.distortions.catalogue import DISTORTIONS, LEVELS, distort


@pytest.fixture(scope="module")
def photo():
    return skimage.data.chelsea()[20:276, 100:356]


def degrade(photo, name, level, seed=0):
    return distort(photo, name, level, np.random.default_rng(seed))


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


def test_jpeg_keeps_rgb_order_and_coarsens_with_quality():
    red = np.full((32, 32, 3), (250, 10, 10), np.uint8)
    assert np.abs(degrade(red, "jpeg", 1).astype(int) - red).max() < 20
