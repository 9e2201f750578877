"""Rows that no baseline can be fitted on are refused before anything is."""

import pytest

from iqa_jax.run import build
from iqa_jax.studies.baseline_runs import check_baselines
from iqa_jax.training.training_error import TrainingError


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"group": "x"}, "all images to fit on are of one group"),
        ({"label": 30}, "fitted on are poor: it has nothing to tell apart"),
    ],
)
def test_rows_that_no_baseline_can_be_fitted_on_are_refused(
    crops_config, blurred, changes, sentence
):
    images = build.manifest_from_config(crops_config).images
    split = images["split"].to_numpy()
    names = ("svr", "deep_biq")
    check_baselines(names, images, split, 0, 100)
    is_fitted = images["split"] != "test"
    for column, value in changes.items():
        images.loc[is_fitted, column] = value
    with pytest.raises(TrainingError, match=sentence):
        check_baselines(names, images, split, 0, 100)
