"""The thresholds of the three-class answer."""

import numpy as np

from iqa_jax.scoring.fitted.thresholds import fit_three_classes


def test_marginal_images_lie_between_the_thresholds():
    scores = np.array([0.1, 0.2, 0.3, 0.45, 0.5, 0.55, 0.7, 0.8, 0.9])
    low, high = fit_three_classes(scores, np.repeat([0, 1, 2], 3))
    assert 0.3 < low <= 0.45 and 0.55 < high <= 0.7


def test_there_are_none_without_marginal_images():
    assert fit_three_classes(np.array([0.1, 0.9]), np.array([0, 2])) is None
