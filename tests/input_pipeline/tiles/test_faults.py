"""What is measured of a picture follows what was done to it, on photographs that packages ship."""

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_image

from input_pipeline.distortions.catalogue import LEVELS, distort
from input_pipeline.files.images import load
from input_pipeline.tiles.faults import FAULTS, Measured, measure, name_fault

PHOTOS = {
    **{name: getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee")},
    "rocket": skimage.data.rocket(),
    "motorcycle": skimage.data.stereo_motorcycle()[0],
    "china": load_sample_image("china.jpg"),
    "flower": load_sample_image("flower.jpg"),
}
# Distortion -> its word, its quantity, and whether that grows with the level.
PLANTED = {
    "gaussian_blur": ("blurred", "sharpness", False),
    "motion_blur": ("blurred", "sharpness", False),
    "white_noise": ("noisy", "noise", True),
    "jpeg": ("blocky", "blockiness", True),
    "over_exposure": ("bright", "exposure", True),
    "under_exposure": ("dark", "exposure", False),
}


def planted(photo, kind, level) -> Measured:
    return measure(distort(photo, kind, level, np.random.default_rng(0)))


@pytest.mark.parametrize("name", PHOTOS)
def test_nothing_is_wrong_with_clean_photographs(name):
    assert name_fault(measure(PHOTOS[name])) == ""


@pytest.mark.parametrize("kind", PLANTED)
def test_severe_damage_has_its_word(kind):
    words = [
        name_fault(planted(photo, kind, level)) for photo in PHOTOS.values() for level in (4, 5)
    ]
    assert words.count(PLANTED[kind][0]) >= 0.75 * len(words), words


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "china", "motorcycle"])
def test_each_quantity_follows_its_damage(name, kind):
    _, quantity, is_rising = PLANTED[kind]
    # Of a picture that is smeared beyond that there are no edges left to measure.
    levels = LEVELS[:4] if quantity == "sharpness" else LEVELS
    found = [measure(PHOTOS[name]), *(planted(PHOTOS[name], kind, level) for level in levels)]
    values = [getattr(measured, quantity) for measured in found]
    steps = np.diff(values) if is_rising else -np.diff(values)
    assert (steps > 0).all(), values


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_a_blurred_step_says_how_blurred_it_is(sigma):
    image = np.full((256, 256, 3), 60, np.uint8)
    cv2.circle(image, (128, 128), 80, (200, 200, 200), -1)
    measured = measure(cv2.GaussianBlur(image, (0, 0), sigma))
    assert measured.sharpness == pytest.approx(1 / (1 + sigma**2), rel=0.15)


@pytest.mark.parametrize("sigma", [2.0, 8.0, 20.0])
def test_noise_on_a_flat_picture_has_its_deviation(sigma):
    noise = np.random.default_rng(0).normal(0, sigma, (300, 400, 1))
    image = np.clip(np.rint(128 + noise), 0, 255).astype(np.uint8).repeat(3, axis=2)
    # The smoothest blocks have a little less by chance.
    assert measure(image).noise == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize(("grey", "stops"), [(118, 0.0), (255, 2.474), (66, -1.737), (0, -12.0)])
def test_exposure_is_in_stops_of_light(grey, stops):
    # 118 is the sRGB code of 18 % of the light; that of 66 is 5.4 %.
    assert measure(np.full((9, 9, 3), grey, np.uint8)).exposure == pytest.approx(stops, abs=0.02)


def test_blocks_are_found_wherever_their_grid_begins():
    photo = distort(PHOTOS["china"], "jpeg", 4, np.random.default_rng(0))
    whole, cropped = measure(photo).blockiness, measure(photo[3:, 5:]).blockiness
    assert whole > 2 and cropped == pytest.approx(whole, rel=0.05)


def test_a_large_picture_is_measured_by_its_parts():
    photo = PHOTOS["astronaut"]
    large = measure(np.tile(photo, (5, 6, 1)))
    small = measure(photo)
    assert large.noise == pytest.approx(small.noise, rel=0.3)
    assert large.exposure == pytest.approx(small.exposure, abs=0.02)
    assert large.blockiness == pytest.approx(small.blockiness, abs=0.05)


@pytest.mark.parametrize(
    "shape", [(1, 1), (8, 8), (9, 9), (1, 3000), (3000, 2), (16, 17), (40, 40)]
)
@pytest.mark.parametrize("fill", [0, 77, 255, "noise"])
def test_pictures_with_little_in_them_are_measured_without_complaint(shape, fill):
    image = np.zeros((*shape, 3), np.uint8)
    image[:] = fill if fill != "noise" else np.random.default_rng(0).integers(0, 256, image.shape)
    measured = measure(image)
    assert all(value is None or np.isfinite(value) for value in measured)
    assert measured.exposure is not None
    assert name_fault(measured) in (*FAULTS, "")
    if fill == 77:
        assert name_fault(measured) == "" and measured.sharpness is None


def test_grey_and_16_bit_files_are_measured_like_others(tmp_path):
    grey = cv2.cvtColor(PHOTOS["chelsea"], cv2.COLOR_RGB2GRAY)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    cv2.imwrite(str(tmp_path / "deep.png"), grey.astype(np.uint16) * 257)
    expected = measure(np.repeat(grey[..., None], 3, axis=2))
    for name in ("grey.png", "deep.png"):
        found = measure(load(tmp_path / name, max_pixels=10**8))
        assert found == pytest.approx(expected, rel=0.02, abs=0.02)


def test_the_word_is_of_what_is_furthest_out():
    assert name_fault(Measured()) == ""
    assert name_fault(Measured(0.24, 64.0, 0.0, 1.0)) == "noisy"
    assert name_fault(Measured(0.01, 8.1, 0.0, 1.0)) == "blurred"
    assert name_fault(Measured(0.24, 1.0, -6.0, 1.7)) == "dark"
    assert name_fault(Measured(0.5, 1.0, 2.4, 1.65)) == "bright"
    assert name_fault(Measured(0.5, 1.0, 1.65, 9.0)) == "blocky"
