"""What the device does to tiles is what the loader does, and each example keeps to its own."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from input_pipeline.distortions.catalogue import DISTORTIONS, LEVELS
from iqa_jax.learning.degrade import degrade

ON_DEVICE = [name for name, distortion in DISTORTIONS.items() if distortion.on_device]


@pytest.fixture(scope="module")
def photo():
    return np.ascontiguousarray(skimage.data.chelsea()[60:140, 120:184])


def test_most_kinds_run_on_the_device():
    assert len(ON_DEVICE) >= 10 and len(DISTORTIONS) >= 15


@pytest.mark.parametrize("name", ON_DEVICE)
def test_jax_arrays_are_degraded_as_the_loader_does_it(photo, name):
    distortion = DISTORTIONS[name]
    for strength in distortion.strengths:
        expected = distortion.apply(photo, strength, np.random.default_rng(0)).astype(int)
        image = jnp.asarray(photo, jnp.float32)
        found = distortion.on_device(image, strength, np.random.default_rng(0))
        found = np.asarray(jnp.clip(jnp.round(found), 0, 255)).astype(int)
        apart = np.abs(found - expected)
        if name == "gaussian_blur":
            # OpenCV rounds the kernel for 8-bit images.
            assert apart.mean() < 0.5
        else:
            # Where a value is half way, rounding may go either way.
            assert (apart > 0).mean() < 1e-3


def test_the_blur_by_matrices_is_that_of_opencv(photo):
    for sigma in DISTORTIONS["gaussian_blur"].strengths:
        side = 2 * round(3 * sigma) + 1
        expected = cv2.GaussianBlur(photo.astype(np.float32), (side, side), sigma)
        found = DISTORTIONS["gaussian_blur"].on_device(jnp.asarray(photo, jnp.float32), sigma, None)
        np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.fixture(scope="module")
def noises():
    names = ("contrast_loss", "white_noise")
    changes = [DISTORTIONS[name].on_device for name in names]
    return jax.jit(lambda *batch: degrade(*batch, changes))


def batch(distortion, strength, chance, grey=128):
    tiles = np.full((len(distortion), 2, 32, 32, 3), grey, np.uint8)
    tiles[:, :, ::2] = 64
    return tiles, np.int32(distortion), np.float32(strength), np.uint32(chance)


def test_each_example_gets_what_it_asks_for(noises):
    tiles, *how = batch([0, 1, 2, 2], [0, 0.5, 0.001, 0.01], [1, 1, 1, 1])
    found = np.asarray(noises(tiles, *how))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0], tiles[0])
    assert set(np.unique(found[1])) == {80, 112}
    noise = found[2:].astype(float) - tiles[2:]
    np.testing.assert_allclose(noise.std(axis=(1, 2, 3, 4)) / 255, [0.001**0.5, 0.1], rtol=0.05)
    # Levels of one seed have the same noise, more or less of it; tiles have their own.
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] > 0.99
    assert abs(np.corrcoef(noise[1, 0].ravel(), noise[1, 1].ravel())[0, 1]) < 0.05


def test_an_example_does_not_depend_on_its_company(noises):
    tiles, *how = batch([2, 1, 2, 0], [0.01, 0.5, 0.01, 0], [5, 6, 7, 8])
    found, order = np.asarray(noises(tiles, *how)), [2, 3, 0, 1]
    again = noises(tiles[order], *(values[order] for values in how))
    np.testing.assert_array_equal(again, found[order])
    assert (found[0] != found[2]).mean() > 0.9


def test_levels_are_five():
    assert all(len(distortion.strengths) == len(LEVELS) for distortion in DISTORTIONS.values())
