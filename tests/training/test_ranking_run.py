"""Runs that compare: their figures are those of their predictions, and their encoder goes on."""

import json

import jax
import numpy as np
import pandas as pd
import pytest

from iqa_jax.modes import train as train_module
from iqa_jax.modes.evaluate import evaluate_run
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.seen import seen_before
from iqa_jax.run.variables import initial_variables
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.probe import variables_from_config
from iqa_jax.training.data import images_seen_before, prepare_training
from iqa_jax.training.training_error import TrainingError
from tiny import TINY


def ranking_config(manifest):
    from configs import ranking

    config = ranking.get_config()
    config.update_from_flattened_dict({**TINY, "data.manifest": str(manifest)})
    config.data.features, config.model.trainable_layers = (), -1
    config.ranking.types = ("jpeg", "white_noise", "gaussian_blur")
    config.ranking.unseen_types = ("dither",)
    config.ranking.crop, config.batch_size = 64, 24
    config.epochs, config.evaluate_every_epochs = 1, 1.0
    return config


@pytest.fixture(scope="module")
def photos(tmp_path_factory, tiny_manifest):
    """A table without labels of one photo per scene."""
    table = pd.read_csv(tiny_manifest)
    table = table[table["label"] == "good"].groupby("group").head(1)
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    path = tmp_path_factory.mktemp("photos") / "photos.csv"
    table[["path", "group", "split"]].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    """The workdir of a finished ranking run; only to be read."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("devices", "local_devices"):
            patch.setattr(jax, name, lambda devices=jax.devices()[:1]: devices)
        patch.setattr(jax, "device_count", lambda: 1)
        folder = tmp_path_factory.mktemp("runs") / "ranking"
        assert train_module.train(ranking_config(photos), str(folder), "") == 0
    return folder


def test_an_epoch_shows_every_photo_with_every_kind_seen(run):
    # Four photos, three kinds, six levels, 24 examples a step.
    assert Workdir(run).last.steps[-1] == 4 * 3 * 6 // 24


def test_both_pair_accuracies_are_those_of_the_predictions(run):
    metrics = json.loads((run / "metrics.json").read_text())
    for split in ("val", "test"):
        table = pd.read_csv(run / f"predictions_{split}.csv", keep_default_na=False)
        assert len(table) == 1 + 4 * 5 and (table["error"] == "").all()
        score = dict(zip(table["label"], table["score"], strict=True))
        found = {}
        for kind in ("jpeg", "white_noise", "gaussian_blur", "dither"):
            levels = [score[""], *(score[f"{kind} {level}"] for level in range(1, 6))]
            pairs = [np.sign(a - b) for k, a in enumerate(levels) for b in levels[k + 1 :]]
            found[kind] = (1 + np.mean(pairs)) / 2
        assert metrics[split]["pair_accuracy_by_kind"] == pytest.approx(found)
        assert metrics[split]["unseen_pair_accuracy"] == pytest.approx(found.pop("dither"))
        assert metrics[split]["pair_accuracy"] == pytest.approx(np.mean([*found.values()]))
        assert metrics[split]["pairs"] == 60
    assert "| White noise |" in (run / "report.md").read_text()


@pytest.mark.usefixtures("one_device")
def test_an_evaluation_repeats_what_the_run_found(run):
    before = json.loads((run / "metrics.json").read_text())["test"]["pair_accuracy"]
    assert evaluate_run(Workdir(run), split="test")["test"]["pair_accuracy"] == before


def test_the_encoder_goes_on_to_opinion_scores(run, photos, tiny_config):
    config = tiny_config
    config.data.label_kind, config.data.label_column = "numeric", "exposure"
    config.balanced_sampling, config.early_stopping.metric = False, ""
    config.evaluation.fusion, config.data.features = "mean_score", ()
    config.model.weights, config.model.pooling = str(run), "stages"
    check_config(config)
    ours = initial_variables(config)["params"]["encoder"]
    workdir = Workdir(run)
    theirs = variables_from_config(workdir, workdir.config())[0]["params"]["encoder"]
    first = initial_variables(workdir.config())["params"]["encoder"]
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    changed = jax.tree.map(lambda one, other: bool((one != other).any()), theirs, first)
    assert all(jax.tree.leaves(changed))
    # What the ranking run trained on is known to it, and may not be tested.
    assert len(images_seen_before(seen_before(config))) == 5


def test_an_encoder_that_has_ranked_what_is_tested_is_refused(
    run, tiny_config, tiny_manifest, tmp_path
):
    table = pd.read_csv(tiny_manifest)
    table["split"] = table["group"].map({"scene0": "test", "scene1": "val"}).fillna("train")
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    table.to_csv(tmp_path / "m.csv", index=False)
    tiny_config.data.manifest, tiny_config.model.weights = str(tmp_path / "m.csv"), str(run)
    (tmp_path / "w").mkdir()
    with pytest.raises(TrainingError, match="has seen what is tested here"):
        prepare_training(
            tiny_config, build.manifest_from_config(tiny_config), Workdir(tmp_path / "w")
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 32}, "batch_size is 32; ranking compares 6 examples.*multiple of 6"),
        ({"ranking.types": ("blur",)}, "ranking.types has 'blur'; the choices are gaussian_blur"),
        ({"ranking.unseen_types": ("jpeg",)}, "jpeg is in ranking.types and in"),
        ({"bags.cached": True, "model.trainable_layers": 0}, "bags.cached has one embedding"),
        ({"balanced_sampling": True}, "balanced_sampling needs classes"),
        ({"data.features": ("n_tiles",)}, "data.features are no part"),
        ({"bags.tiles": 4, "loss.tile_weight": 1.0}, "loss.tile_weight needs a label per image"),
        ({"early_stopping.metric": "unseen_pair_accuracy"}, "the choices are pair_accuracy"),
    ],
)
def test_what_cannot_be_ranked_is_refused(photos, changes, message):
    config = ranking_config(photos)
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=message):
        check_config(config)


@pytest.fixture
def pairs_config(tiny_manifest, tmp_path):
    """A table of pairs within scenes: the sharp one is preferred, marginal against bad a tie."""
    table = pd.read_csv(tiny_manifest)
    rows = []
    for (_, split), scene in table.groupby(["group", "split"]):
        paths = {label: list(part["path"]) for label, part in scene.groupby("label")}
        rows += [(a, b, "a", split) for a, b in zip(paths["good"], paths["bad"], strict=True)]
        rows += [(paths["bad"][1], paths["good"][2], "b", split)]
        rows += [(paths["marginal"][0], paths["bad"][0], "tie", split)]
    found = pd.DataFrame(rows, columns=["path_a", "path_b", "preference", "split"])
    for name in ("path_a", "path_b"):
        found[name] = [str(tiny_manifest.parent / path) for path in found[name]]
    found.to_csv(tmp_path / "pairs.csv", index=False)
    config = ranking_config(tmp_path / "pairs.csv")
    config.data.label_kind, config.batch_size = "pairs", 8
    return config


@pytest.mark.usefixtures("one_device")
def test_human_pairs_train_the_same_scorer(pairs_config, tmp_path):
    folder = tmp_path / "run"
    assert train_module.train(pairs_config, str(folder), "") == 0
    workdir = Workdir(folder)
    assert workdir.last.steps[-1] == 2 * 4 * 5 // 8
    metrics = json.loads((folder / "metrics.json").read_text())["test"]
    table = pd.read_csv(folder / "predictions_test.csv")
    score = dict(zip(table["path"], table["score"], strict=True))
    pairs = pd.read_csv(pairs_config.data.manifest)
    pairs = pairs[(pairs["split"] == "test") & (pairs["preference"] != "tie")]
    lead = [
        (score[row.path_a] - score[row.path_b]) * (1 if row.preference == "a" else -1)
        for row in pairs.itertuples()
    ]
    assert metrics["pairs"] == len(lead) == 4
    assert metrics["pair_accuracy"] == pytest.approx((1 + np.mean(np.sign(lead))) / 2)
    assert "unseen_pair_accuracy" not in metrics and table["score"].notna().all()
