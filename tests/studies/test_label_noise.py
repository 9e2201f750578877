"""Folds that judge labels: whole groups, every training image once."""

import numpy as np
import pytest

from iqa_jax.run import build
from iqa_jax.studies.label_noise import draw_folds
from iqa_jax.training.training_error import TrainingError


@pytest.fixture
def config(tiny_config):
    return tiny_config


def test_no_group_is_on_both_sides_of_a_fold_and_every_image_is_judged_once(config):
    manifest = build.manifest_from_config(config)
    images, folds = manifest.images, draw_folds(manifest, 3, config.seed)
    assert len(folds) == 3
    judged = np.sum([fold == "test" for fold in folds], axis=0)
    np.testing.assert_array_equal(judged, images["split"] == "train")
    for fold in folds:
        assert images.assign(fold=fold).groupby("group")["fold"].nunique().max() == 1
        np.testing.assert_array_equal(fold == "val", images["split"] == "val")
        # What the recipe is tested on teaches no fold anything.
        assert set(fold[images["split"] == "test"]) == {"unused"}
        assert (fold == "train").sum() + (fold == "test").sum() == 28


def test_more_folds_than_groups_are_refused_in_a_sentence(config):
    with pytest.raises(TrainingError, match="noise.folds is 5: 4 groups cannot fill"):
        draw_folds(build.manifest_from_config(config), 5, config.seed)
