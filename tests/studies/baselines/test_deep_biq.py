"""DeepBIQ: its encoder suits every recipe, and learns from rows to fit on alone."""

import numpy as np
import pandas as pd
import pytest

from baseline_rows import open_rows
from configs import mos
from input_pipeline.checks.leaks import find_leaks, identify_images
from iqa_jax.modes.protocol import run_protocol
from iqa_jax.run.checks import ConfigError
from iqa_jax.run.seen import seen_before
from iqa_jax.studies.baselines import BASELINES, deep_biq
from iqa_jax.studies.baselines.deep_biq import CLASSES, grade
from iqa_jax.training.data import images_seen_before
from iqa_jax.training.training_error import TrainingError
from recipes import RECIPES, load_recipe


def test_grades_have_equal_widths():
    labels = np.array([1.0, 1.79, 1.81, 2.7, 4.0, 4.3, 5.0])
    np.testing.assert_array_equal(grade(labels, 1, 5), [0, 0, 1, 2, 3, 4, 4])


@pytest.mark.parametrize(
    "name", [name for name in RECIPES if load_recipe(name).data.label_kind == "numeric"]
)
def test_the_encoder_of_deep_biq_suits_every_recipe_of_opinion_scores(name):
    recipe = load_recipe(name)
    recipe.data.manifest, recipe.seed, recipe.batch_size = "manifest.csv", 7, 24
    before = recipe.to_dict()
    run = deep_biq.encoder_config(recipe)  # Checks it.
    assert recipe.to_dict() == before
    assert (run.data.label_kind, run.data.classes) == ("ordered", CLASSES)
    assert (run.seed, run.batch_size, run.epochs) == (7, 24, 5)
    assert run.tiles.stride == run.tiles.size == recipe.tiles.size
    for key in ("encoder", "weights", "dtype"):
        assert run.model[key] == recipe.model[key]
    widths = [each.encoder.mobilenet_v2.width_multiplier for each in (run, recipe)]
    assert widths[0] == widths[1]
    assert not run.model.kernel_ridge and not run.model.ensemble and run.bags.tiles == 1


def test_a_key_that_the_encoder_cannot_have_is_refused_before_anything_trains(
    tmp_path, monkeypatch
):
    config = mos.get_config()
    config.data.manifest = "manifest.csv"
    config.protocol.baselines = ("deep_biq",)
    monkeypatch.setattr(deep_biq, "_CARRIED", (*deep_biq._CARRIED, "model.kernel_ridge"))
    with pytest.raises(ConfigError, match="deep_biq: model.kernel_ridge answers with a number"):
        run_protocol(config, str(tmp_path / "protocol"), "")


@pytest.mark.usefixtures("one_device")
def test_deep_biq_learns_from_rows_to_fit_on_alone(crops_config, blurred, tmp_path, monkeypatch):
    monkeypatch.setattr(deep_biq, "_EPOCHS", 1)
    train, test = open_rows(blurred)
    answers = BASELINES["deep_biq"](crops_config, train, tmp_path)(test)
    assert np.isfinite(answers.scores).all() and len(set(answers.scores)) == 10
    learnt = pd.read_csv(tmp_path / "crops.csv")
    images = train.manifest.images
    assert learnt["path"].tolist() == images["path"][train.image_ids].tolist()
    assert learnt["label"].tolist() == [CLASSES[g] for g in grade(train.labels, 0, 100)]
    # Its encoder is known to have seen them, and them alone.
    crops_config.model.weights = str(tmp_path / "encoder")
    seen = images_seen_before(seen_before(crops_config))
    known = identify_images(train.manifest, train.source)
    assert not find_leaks(seen, known.loc[test.image_ids])
    assert find_leaks(seen, known.loc[train.image_ids])


def test_deep_biq_needs_two_classes(crops_config, blurred, tmp_path):
    crops_config.data.maximum = 10_000.0
    train, _ = open_rows(blurred)
    with pytest.raises(TrainingError, match="are bad: it has nothing to tell apart"):
        BASELINES["deep_biq"](crops_config, train, tmp_path)
