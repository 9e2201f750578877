"""The answer to one image is calibrated once, with all that belongs to its headline."""

import numpy as np
import pytest

from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.scoring.answered import Answered

MAP = CalibrationMap(2.0, (0.5, -0.5), 0.75, False, 9)
RAW = np.array([[0.9, 0.1], [0.6, 0.4]])


def calibrated(raw):
    """The map by hand: a softmax of twice the logarithms and the biases, and a quarter raw."""
    scores = raw**2 * np.exp([0.5, -0.5])
    return 0.25 * raw + 0.75 * scores / scores.sum(axis=-1, keepdims=True)


@pytest.fixture
def answer():
    values = {"mean_score": RAW.mean(axis=0), "attention": RAW[0]}
    return Answered(3, values, RAW, np.ones(2), None, samples=RAW, views=RAW[::-1], warning="odd")


def test_the_values_of_the_image_and_all_of_its_headline_are_mapped(answer):
    found = answer.calibrated({"mean_score": MAP}, "mean_score")
    np.testing.assert_allclose(found.values["mean_score"], calibrated(RAW.mean(axis=0)))
    np.testing.assert_allclose(found.samples, calibrated(RAW))
    np.testing.assert_allclose(found.views, calibrated(RAW[::-1]))
    # What has no map, and tiles, which have no label that one could be fitted to.
    np.testing.assert_array_equal(found.values["attention"], RAW[0])
    np.testing.assert_array_equal(found.tile_values, RAW)
    assert (found.image_id, found.warning) == (3, "odd")
    np.testing.assert_array_equal(answer.samples, RAW)


def test_samples_of_another_fusion_stay_as_they_are(answer):
    found = answer.calibrated({"attention": MAP}, "mean_score")
    np.testing.assert_allclose(found.values["attention"], calibrated(RAW[0]))
    np.testing.assert_array_equal(found.values["mean_score"], RAW.mean(axis=0))
    np.testing.assert_array_equal(found.samples, RAW)
    bad = Answered(0, {}, RAW[:0], np.zeros(0), None, "no image")
    assert bad.calibrated({"mean_score": MAP}, "mean_score").error == "no image"
