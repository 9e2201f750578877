"""Natural-scene statistics against a peer, SciPy and curves whose parameters are known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.ndimage
import skimage.data
from PIL import Image
from scipy import stats

from input_pipeline.tiles import nss

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "nss.npz")
SHAPES, MEANS = [0, 2, 6, 10, 14], [3, 7, 11, 15]


@pytest.mark.parametrize("name", GOLDEN.files)
def test_photos_have_the_features_of_the_peer(name):
    photo = np.asarray(Image.fromarray(getattr(skimage.data, name)()).convert("L"), np.float64)
    luma = photo[: len(photo) // 2 * 2, : photo.shape[1] // 2 * 2]
    for scale, expected in zip((luma, nss.halve(luma)), GOLDEN[name], strict=True):
        found = np.array(nss.describe(nss.normalise_contrast(scale)[3:-3, 3:-3]))
        # All but the first two, to which the peer fits another curve.
        np.testing.assert_allclose(found[2:], expected[2:], rtol=2e-3, atol=2e-4)
        np.testing.assert_allclose(found[:2], expected[:2], rtol=0.05)


def test_contrast_is_normalised_as_scipy_would():
    luma = cv2.cvtColor(skimage.data.chelsea(), cv2.COLOR_RGB2GRAY).astype(np.float64)

    def blur(image):
        return scipy.ndimage.gaussian_filter(image, 7 / 6, radius=3, mode="mirror")

    deviation = np.sqrt(np.maximum(blur(luma**2) - blur(luma) ** 2, 0))
    expected = (luma - blur(luma)) / (deviation + 1)
    # Where all is flat, rounding is all there is under the root.
    np.testing.assert_allclose(nss.normalise_contrast(luma), expected, atol=1e-5)


def test_halving_is_pillows_antialiased_bicubic_inside():
    luma = skimage.data.camera().astype(np.float32)
    expected = np.asarray(Image.fromarray(luma).resize((256, 256), Image.BICUBIC))
    np.testing.assert_allclose(nss.halve(luma)[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1e-3)
    assert nss.halve(luma[:101, :1]).shape == (51, 1)


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 4.0])
def test_the_parameters_of_a_symmetric_curve_are_found(shape):
    values = stats.gennorm.rvs(shape, scale=3, size=400_000, random_state=0)
    found = nss.fit_symmetric(values)
    np.testing.assert_allclose(found, (shape, stats.gennorm.var(shape, scale=3)), rtol=0.02)
    # The same curve is a case of the asymmetric one.
    alike = nss.fit_asymmetric(values)
    np.testing.assert_allclose([alike[0], *alike[2:]], [found[0], *[found[1]] * 2], rtol=0.02)


@pytest.mark.parametrize("shape", [0.7, 1.5])
def test_the_parameters_of_an_asymmetric_curve_are_found(shape):
    # By its density, a side holds values in proportion to its scale.
    scales, count = np.array([1.0, 2.5]), 600_000
    sizes = np.abs(stats.gennorm.rvs(shape, size=count, random_state=0))
    is_right = np.random.default_rng(0).random(count) < scales[1] / scales.sum()
    values = sizes * np.where(is_right, scales[1], -scales[0])
    variances = scales**2 * stats.gennorm.var(shape)
    expected = (shape, values.mean(), *variances)
    np.testing.assert_allclose(nss.fit_asymmetric(values), expected, rtol=0.02)
    mirrored = (shape, -values.mean(), *variances[::-1])
    np.testing.assert_allclose(nss.fit_asymmetric(-values), mirrored, rtol=0.02)


@pytest.mark.parametrize("grey", [0, 77, 255])
def test_a_flat_picture_has_finite_features_and_no_variance(grey):
    features = nss.nss_features(np.full((65, 40, 3), grey, np.uint8))
    expected = [2, 0] + [2, 0, 0, 0] * 4
    np.testing.assert_array_equal(features, expected * 2)


def test_any_picture_has_36_finite_features():
    rng = np.random.default_rng(0)
    spot = np.zeros((32, 32, 3), np.uint8)
    spot[16, 16] = 1
    halves = np.repeat([[0] * 16 + [255] * 16], 32, axis=0)[..., None].repeat(3, axis=2)
    for image in (
        spot,
        halves.astype(np.uint8),
        rng.integers(0, 2, (32, 32, 3), np.uint8) * 255,
        rng.integers(0, 256, (1, 1, 3), np.uint8),
        rng.integers(0, 256, (1, 9, 3), np.uint8),
    ):
        features = nss.nss_features(image)
        assert features.shape == (nss.FEATURES,) and np.isfinite(features).all()


def test_degradation_moves_the_statistics_the_known_way():
    photo = skimage.data.astronaut()
    noise = np.random.default_rng(0).normal(scale=20, size=photo.shape)
    noisy = np.clip(photo + noise, 0, 255).astype(np.uint8)
    soft = cv2.GaussianBlur(photo, (0, 0), 2)
    plain, noised, blurred = map(nss.nss_features, (photo, noisy, soft))
    # Noise makes it more Gaussian; blur ties neighbours together.
    assert noised[0] > plain[0] and noised[1] > plain[1] > blurred[1]
    for mean in MEANS:
        correlation = [features[mean] / features[1] for features in (noised, plain, blurred)]
        assert correlation[0] < correlation[2]


def test_a_turn_by_half_a_circle_changes_nothing():
    photo = np.ascontiguousarray(skimage.data.astronaut()[:200, :200])
    turned = np.ascontiguousarray(photo[::-1, ::-1])
    # The pairs of neighbours are the same pairs.
    np.testing.assert_allclose(nss.nss_features(turned), nss.nss_features(photo), rtol=1e-6)
    across = np.ascontiguousarray(photo.transpose(1, 0, 2))
    order = [0, 1, *range(6, 10), *range(2, 6), *range(10, 18)]
    np.testing.assert_allclose(
        nss.nss_features(across)[:18], nss.nss_features(photo)[:18][order], rtol=1e-6
    )
