"""Baselines: chosen on whole groups, fitted on no tested row, right where the truth is planted."""

import cv2
import numpy as np
import pandas as pd
import pytest
import skimage.data
from scipy import stats

from configs import mos
from input_pipeline.checks.leaks import find_leaks, identify_images
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tiles.sources import TileSource, pictures_of
from input_pipeline.tiles.tiling import Tiling
from iqa_jax.modes.protocol import run_protocol
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError
from iqa_jax.run.seen import seen_before
from iqa_jax.studies.baseline_runs import check_baselines
from iqa_jax.studies.baselines import BASELINES, deep_biq
from iqa_jax.studies.baselines.deep_biq import CLASSES, grade
from iqa_jax.studies.baselines.pictures import PictureFeatures
from iqa_jax.studies.baselines.regression import RIDGE, choose
from iqa_jax.studies.baselines.rows import Rows
from iqa_jax.training.data import TrainingError, images_seen_before
from recipes import RECIPES, load_recipe
from tiny import TINY, make_tiny_config

LABEL = LabelSpec("numeric", minimum=0.0, maximum=100.0)
STRENGTHS = np.linspace(0, 2.5, 10)


@pytest.fixture(scope="module")
def blurred(tmp_path_factory):
    """A manifest of crops of five photos, each blurred by ten degrees; less blur is better."""
    folder = tmp_path_factory.mktemp("blurred")
    photos = ["astronaut", "chelsea", "coffee", "rocket", "camera"]
    rows = []
    for number, name in enumerate(photos):
        photo = np.atleast_3d(getattr(skimage.data, name)())[100:228, 100:228]
        for strength in STRENGTHS:
            image = cv2.GaussianBlur(photo, (0, 0), 0.1 + strength)
            path = f"{name}_{strength:.2f}.png"
            cv2.imwrite(str(folder / path), image)
            split = "test" if number == 4 else "train"
            rows.append((path, 90 - 30 * strength, name, split))
    manifest = folder / "manifest.csv"
    pd.DataFrame(rows, columns=["path", "label", "group", "split"]).to_csv(manifest, index=False)
    return manifest


def open_rows(path):
    """Gives the rows to fit on and those to test on."""
    manifest = read_manifest(path, LABEL)
    source = TileSource(pictures_of(manifest), Tiling(32, 32), max_pixels=10**6)
    is_test = (manifest.images["split"] == "test").to_numpy()
    return [Rows(manifest, source, np.flatnonzero(part)) for part in (~is_test, is_test)]


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


@pytest.fixture(scope="module")
def fitted(blurred, tiny_manifest):
    """The BRISQUE baseline, and what it answers."""
    train, test = open_rows(blurred)
    predict = BASELINES["brisque_svr"](make_tiny_config(tiny_manifest), train, blurred.parent)
    return predict, test, predict(test)


def test_blur_of_an_unseen_photo_is_ranked(fitted):
    predict, test, answers = fitted
    assert list(answers.errors) == [""] * 10
    assert stats.spearmanr(answers.scores, test.labels).statistic > 0.9
    # Each answer is its image's own.
    alone = predict(Rows(test.manifest, test.source, test.image_ids[3:4]))
    np.testing.assert_allclose(alone.scores, answers.scores[3:4])


def test_what_is_tested_has_no_part_in_the_fit(fitted, blurred, tiny_config, tmp_path):
    table = pd.read_csv(blurred)
    table["path"] = [str(blurred.parent / path) for path in table["path"]]
    is_test = table["split"] == "test"
    table.loc[is_test, "label"] = table["label"][is_test].to_numpy()[::-1]
    other = tmp_path / "other.csv"
    table.to_csv(other, index=False)
    train, test = open_rows(other)
    found = BASELINES["brisque_svr"](tiny_config, train, tmp_path)
    np.testing.assert_array_equal(found(test).scores, fitted[2].scores)


def test_a_bad_image_has_an_error_and_leaves_the_others_alone(
    fitted, blurred, tiny_config, tmp_path
):
    table = pd.read_csv(blurred)
    table["path"] = [str(blurred.parent / path) for path in table["path"]]
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    extra = pd.DataFrame({"path": str(bad), "label": 1, "group": "x", "split": ["train"]})
    broken = tmp_path / "broken.csv"
    pd.concat([table, extra]).to_csv(broken, index=False)
    train, test = open_rows(broken)
    predict = BASELINES["brisque_svr"](tiny_config, train, tmp_path)
    found = predict(Rows(test.manifest, test.source, np.append(test.image_ids, 50)))
    np.testing.assert_allclose(found.scores[:-1], fitted[2].scores)
    assert np.isnan(found.scores[-1]) and "bad.png" in found.errors[-1]


def test_a_picture_is_described_once(blurred):
    train, test = open_rows(blurred)
    seen = []

    def compute(image):
        seen.append(image.mean())
        return np.array([image.mean()])

    describe = PictureFeatures("", compute)
    everything = Rows(train.manifest, train.source, np.arange(50))
    first, _ = describe(everything, 2)
    again, _ = describe(Rows(train.manifest, train.source, train.image_ids[::-1]), 2)
    assert len(seen) == 50
    np.testing.assert_array_equal(again, first[train.image_ids[::-1]])


def test_frozen_features_tell_blur_too(blurred, tiny_config, tmp_path):
    train, test = open_rows(blurred)
    answers = BASELINES["ridge"](tiny_config, train, tmp_path)(test)
    assert stats.spearmanr(answers.scores, test.labels).statistic > 0.9


def test_grades_have_equal_widths():
    labels = np.array([1.0, 1.79, 1.81, 2.7, 4.0, 4.3, 5.0])
    np.testing.assert_array_equal(grade(labels, 1, 5), [0, 0, 1, 2, 3, 4, 4])


@pytest.fixture
def crops_config(blurred):
    """The keys of the recipe for opinion scores, in small."""
    config = mos.get_config()
    # Its encoder compiles in seconds.
    config.update_from_flattened_dict(TINY)
    config.data.manifest, config.data.label_column = str(blurred), "label"
    config.data.features = ("edge_sum",)
    return config


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
