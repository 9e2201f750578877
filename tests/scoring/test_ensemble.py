"""Runs that answer together."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import iqa_jax
from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tiling import Tiling
from input_pipeline.tiles.views import make_views
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.modes.clean import clean
from iqa_jax.modes.compare import compare
from iqa_jax.modes.evaluate import evaluate_run
from iqa_jax.modes.protocol import run_protocol
from iqa_jax.modes.train import train
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.seen import seen_by
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.embedding_cache import embeddings_from_config
from iqa_jax.scoring.ensemble import keep_members, load_members
from iqa_jax.scoring.fitted.calibration import read_calibration
from iqa_jax.scoring.fitted.probe import variables_from_config
from iqa_jax.scoring.networks import Member
from iqa_jax.scoring.scorer import Scorer
from iqa_jax.training.training_error import TrainingError
from shallow import ShallowEncoder, make_batch, make_model
from tiny import make_tiny_config

FUSION = "mean_embedding"


class LongerEncoder(ShallowEncoder):
    def __call__(self, images, mask=None, train=False, progress=1.0):
        embeddings = super().__call__(images, mask, train, progress)
        return jnp.concatenate([embeddings, embeddings**2], axis=-1)


def make_network(encoder, seed):
    model = make_model(dropout=0.5).clone(encoder=encoder)
    batch = {key: jnp.asarray(value) for key, value in make_batch(1).items()}
    batch["tiles"] = batch["tiles"] / 255.0
    variables = jax.device_get(jax.jit(model.init)(jax.random.key(seed), batch))
    for layer in variables["params"]["head"].values():
        layer["kernel"] = layer["kernel"] * 8
    return model, variables


def test_values_are_the_mean_of_the_networks_and_the_rest_is_the_first_ones(tiny_config, tmp_path):
    networks = [make_network(ShallowEncoder(), 0), make_network(LongerEncoder(), 1)]
    task = build.task_from_config(tiny_config)
    rng = np.random.default_rng(0)
    sizes = [(40, 60), (16, 16), (70, 33), (200, 300)]
    images = [rng.integers(0, 256, (*size, 3)).astype(np.uint8) for size in sizes]
    (tmp_path / "text.jpg").write_text("no image")
    source = TileSource([*images, tmp_path / "text.jpg"], Tiling(16, 16), max_pixels=10**6)

    def score(first, members=()):
        scorer = Scorer(
            networks[first][0], task,
            kind="binary", fusion=FUSION, tiles_per_chunk=16, mc_samples=3,
            detector=lambda embeddings: embeddings.sum(axis=1),
            members=[Member(networks[one][0], task, networks[one][1]) for one in members],
        )  # fmt: skip
        views = make_views("horizontal", 0, ())
        bags = whole_bags(source, range(5), FeatureTable(), threads=1, views=views)
        return list(scorer.score(networks[first][1], bags))

    alone = [score(0), score(1)]
    together = score(0, [1])
    assert together[4].error and not together[4].values
    for number in range(4):
        one, other, both = alone[0][number], alone[1][number], together[number]
        assert abs(one.values[FUSION] - other.values[FUSION]).max() > 0.01
        for name in ("tile_values", "samples", "views"):
            mean = (getattr(one, name) + getattr(other, name)) / 2
            np.testing.assert_allclose(getattr(both, name), mean, atol=1e-6)
        for name in (FUSION, "mean_score"):
            mean = (one.values[name] + other.values[name]) / 2
            np.testing.assert_allclose(both.values[name], mean, atol=1e-6)
        for name in ("embedding", "attention", "anomaly"):
            np.testing.assert_allclose(getattr(both, name), getattr(one, name), rtol=1e-5)


@pytest.fixture(scope="module")
def runs(tiny_manifest, tmp_path_factory):
    """Two workdirs: of a run, and of one with another seed and network that answers with it."""
    folder = tmp_path_factory.mktemp("ensemble")
    first = make_tiny_config(tiny_manifest)
    first.data.features = ()
    assert train(first, str(folder / "first"), "") == 0
    second = first.copy_and_resolve_references()
    second.seed, second.model.hidden_dim = 1, 12
    second.model.ensemble = (str(folder / "first"),)
    assert train(second, str(folder / "second"), "") == 0
    return folder / "first", folder / "second"


def copy_run(folder, target, part, changes):
    """Copies a workdir and changes a part of its config."""
    shutil.copytree(folder, target)
    path = target / "config.json"
    config = json.loads(path.read_text())
    config[part] |= changes
    path.write_text(json.dumps(config))
    return target


@pytest.fixture
def alone(runs, tmp_path):
    """The second run without the first."""
    return copy_run(runs[1], tmp_path / "alone", "model", {"ensemble": []})


@pytest.fixture
def uncalibrated(runs, alone, tmp_path):
    """Both runs, the second alone, and the ensemble: their raw answers, which are averaged."""
    folders = []
    for name, folder in (("raw_first", runs[0]), ("raw_alone", alone), ("raw_both", runs[1])):
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / "calibration.json").unlink()
        folders.append(tmp_path / name)
    return folders


def test_a_run_of_an_ensemble_answers_for_all_of_it(runs, uncalibrated, tiny_manifest):
    images = pd.read_csv(tiny_manifest)
    test = [str(tiny_manifest.parent / path) for path in images["path"][images["split"] == "test"]]
    first, own, both = (iqa_jax.load_scorer(folder).score(test)["p_bad"] for folder in uncalibrated)
    assert abs(first - own).max() > 1e-3
    np.testing.assert_allclose(both, (first + own) / 2, atol=1e-6)
    # The mean is calibrated, by the map of the ensemble's own run.
    workdir = Workdir(runs[1])
    config = workdir.config()
    _, step = variables_from_config(workdir, config)
    calibrate = read_calibration(workdir, step)[config.evaluation.fusion]
    expected = calibrate(np.stack([both, 1 - both], axis=1))[:, 0]
    assert abs(expected - both).max() > 1e-3
    scored = iqa_jax.load_scorer(runs[1]).score(test)["p_bad"]
    written = pd.read_csv(runs[1] / "predictions_test.csv")["p_bad"]
    for found in (scored, written):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    card = (runs[1] / "model_card.md").read_text()
    assert f"the mean of its own and of those of {runs[0]}" in card


def test_members_see_the_pixels_though_embeddings_are_kept(runs, tmp_path):
    workdir = Workdir(runs[1])
    config = workdir.config()
    config.bags.cache_folder = str(tmp_path / "embeddings")
    variables, _ = variables_from_config(workdir, config)
    manifest = build.manifest_from_config(config)
    source = build.source_from_config(config, manifest)
    kept = embeddings_from_config(config, variables, source)

    def values(embeddings, members):
        evaluator = evaluator_from_config(
            config, manifest, source, workdir.features(), embeddings, members=members
        )
        return evaluator(variables, "test").values(FUSION)

    members = load_members(workdir, config.model.ensemble)
    np.testing.assert_array_equal(values(kept, members), values(None, members))
    assert abs(values(kept, members) - values(kept, [])).max() > 1e-3


def test_evaluating_an_ensemble_keeps_no_embeddings(runs, tmp_path):
    cache = tmp_path / "embeddings"
    keys = {"cached": True, "cache_folder": str(cache)}
    workdir = Workdir(copy_run(runs[1], tmp_path / "second", "bags", keys))
    assert evaluate_run(workdir, split="test")["test"]["rows"]
    assert not cache.exists()


def test_maps_show_the_answers_of_the_ensemble(uncalibrated, tiny_manifest):
    picture = str(tiny_manifest.parent / "scene5_1.png")
    first, own, both = (iqa_jax.load_explainer(folder).explain(picture) for folder in uncalibrated)
    assert both.score == pytest.approx((first.score + own.score) / 2, abs=1e-5)
    mean = (first.maps.tile_scores + own.maps.tile_scores) / 2
    np.testing.assert_allclose(both.maps.tile_scores, mean, atol=1e-5)
    np.testing.assert_allclose(both.maps.grad_cam, own.maps.grad_cam, atol=1e-5)


def test_predictions_do_not_go_on_after_another_member(runs, alone):
    ours, theirs = (iqa_jax.load_scorer(folder).fingerprint() for folder in (runs[1], alone))
    assert ours["the checkpoint"] != theirs["the checkpoint"]


def test_a_workdir_alone_answers_for_the_ensemble(runs, tiny_manifest, tmp_path):
    picture = [str(tiny_manifest.parent / "scene5_1.png")]
    expected = iqa_jax.load_scorer(runs[1]).score(picture)
    shutil.copytree(runs[1], tmp_path / "second")
    runs[0].rename(tmp_path / "elsewhere")
    try:
        found = iqa_jax.load_scorer(tmp_path / "second").score(picture)
        # A run that goes on keeps what it began with, and asks for the other no more.
        copy = Workdir(tmp_path / "second")
        kept = (copy.folder / "ensemble_0.npz").read_bytes()
        keep_members(copy, copy.config().model.ensemble)
        assert (copy.folder / "ensemble_0.npz").read_bytes() == kept
        # So is what the other has learnt from.
        learnt = seen_by(copy).learnt
        assert learnt["run"].value_counts().to_dict() == {"": 35, str(runs[0]): 35}
    finally:
        (tmp_path / "elsewhere").rename(runs[0])
    pd.testing.assert_frame_equal(found, expected)
    (tmp_path / "second" / "ensemble_0.npz").unlink()
    with pytest.raises(WorkdirError, match="lacks ensemble_0.npz, the network of .*first"):
        iqa_jax.load_scorer(tmp_path / "second")


@pytest.mark.parametrize("study", [compare, run_protocol, clean])
def test_a_study_of_many_runs_takes_no_ensemble(runs, tmp_path, study):
    config = Workdir(runs[1]).config()
    with pytest.raises(ConfigError, match="leave it out where many are trained"):
        study(config, str(tmp_path / "study"), "")


def test_a_member_that_has_seen_what_is_tested_is_refused(runs, tiny_manifest, tmp_path):
    table = pd.read_csv(tiny_manifest)
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    table.loc[table["group"] == "scene1", "split"] = "test"
    table.to_csv(tmp_path / "manifest.csv", index=False)
    config = Workdir(runs[1]).config()
    config.data.manifest = str(tmp_path / "manifest.csv")
    with pytest.raises(TrainingError, match="has seen what is tested here:\n.*scene1_0.png"):
        train(config, str(tmp_path / "run"), "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tiles.stride": 16}, "tiles.stride is 32, and here it is 16"),
        ({"tiles.reference_side": 40}, "tiles.reference_side is 0, and here it is 40"),
        ({"model.fusion": "attention"}, "model.fusion is mean_embedding, and here it is attention"),
        ({"data.classes": ("worse", "better")}, "data.classes is"),
        ({"data.features": ("n_tiles",)}, "scaled by each run"),
        ({"model.ensemble": ("no_run",)}, 'has "no_run"; give the workdirs of finished runs'),
    ],
)
def test_members_that_cannot_answer_beside_a_run_are_refused(runs, changes, sentence):
    config = Workdir(runs[1]).config()
    check_config(config)
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=sentence):
        check_config(config)


def test_an_ensemble_is_no_member(runs):
    config = Workdir(runs[0]).config()
    config.model.ensemble = (str(runs[1]),)
    with pytest.raises(ConfigError, match="itself an ensemble"):
        check_config(config)
