"""Calibration maps of a run: one per fusion, from labelled images alone."""

import numpy as np
import pytest

from iqa_jax.analysis.kinds import KINDS
from iqa_jax.scoring.fitted.calibration import fit_calibration

BINARY = KINDS["binary"](classes=("bad", "good"))


@pytest.fixture
def images():
    """Labels, a third of them of no class, and probabilities that are too sure of themselves."""
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 2, 300)
    score = 1 / (1 + np.exp(-6 * (labels.clip(0) - 0.5 + rng.normal(0, 1, 300))))
    return np.stack([1 - score, score], axis=1), labels


def test_images_of_no_class_count_for_nothing(images):
    values, labels = images
    found = fit_calibration(BINARY, {"mean_score": values, "vote": values**2}, labels)
    assert list(found) == ["mean_score", "vote"] and found["mean_score"] != found["vote"]
    other = values.copy()
    other[labels < 0] = (1.0, 0.0)
    assert fit_calibration(BINARY, {"mean_score": other}, labels) == {
        "mean_score": found["mean_score"]
    }
    # Less sure than they were, as they should be.
    assert found["mean_score"].slope < 0.6 and found["mean_score"].images == (labels >= 0).sum()


def test_one_class_calibrates_nothing_and_that_is_said(images, capsys):
    values, labels = images
    is_bad = labels == 0
    assert fit_calibration(BINARY, {"mean_score": values[is_bad]}, labels[is_bad]) == {}
    assert "no images of two classes in val" in capsys.readouterr().out
    # So it is where a run has no images of `val`, or none of them can be read.
    assert fit_calibration(BINARY, {}, labels[:0]) == {}
    assert "no images of two classes in val" in capsys.readouterr().out
