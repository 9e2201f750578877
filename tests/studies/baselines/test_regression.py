"""The strength of a regression is chosen on groups that it was not fitted on."""

import numpy as np
import pytest

from iqa_jax.studies.baselines.regression import RIDGE, choose
from iqa_jax.training.training_error import TrainingError


def test_parameters_are_chosen_on_groups_that_were_not_fitted_on():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 8)
    features = np.eye(20)[groups] + 0.1 * rng.normal(size=(160, 20))
    labels = rng.normal(size=20)[groups]
    strengths = RIDGE.grid(20)["alpha"]

    def chosen(groups):
        return choose(RIDGE, features, labels, groups).regressor_[-1].alpha

    # To know the group is to know the label, but only of groups that were seen.
    assert chosen(groups) == strengths[-1]
    assert chosen(np.arange(160)) < strengths[3]
    with pytest.raises(TrainingError, match="all images to fit on are of one group"):
        chosen(np.zeros(160))
