"""Sets with scales of their own in one run: planted lines are found, and the order in each set."""

import json
from contextlib import closing
from pathlib import Path

import cv2
import jax
import numpy as np
import pandas as pd
import pytest
from ml_collections import ConfigDict

from configs import default
from iqa_jax.modes import train as train_module
from iqa_jax.modes.evaluate import evaluate_run
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.seen import seen_by
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.probe import restore_trained
from iqa_jax.training.data import batch_settings_from_config, prepare_training
from tiny import TINY

# Set -> how a quality from 0 (worst) to 1 (best) is written in its table.
WRITTEN = {
    "first": lambda quality: 100 * quality,
    # 0.4 of the scale's length, from 0.2 on.
    "narrow": lambda quality: 0.2 + 0.4 * quality,
    # Lower is better.
    "reversed": lambda quality: 5 - 4 * quality,
}


def draw_set(folder, written, seed):
    """Writes pictures of noise whose sharpness says how good they are."""
    rng, rows = np.random.default_rng(seed), []
    folder.mkdir()
    for number in range(80):
        quality = rng.uniform()
        noise = np.repeat(rng.normal(size=(32, 32, 1)), 3, axis=2)
        blurred = cv2.GaussianBlur(noise, (0, 0), 0.3 + 2 * (1 - quality))
        picture = np.clip(128 + 40 * blurred / blurred.std(), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        split = ("train", "train", "train", "test")[number % 4]
        rows.append((f"{number}.png", written(quality), split))
    pd.DataFrame(rows, columns=["path", "mos", "split"]).to_csv(
        folder / "manifest.csv", index=False
    )


def several_sets_config(folder) -> ConfigDict:
    config = default.get_config()
    config.update_from_flattened_dict({**TINY, "data.manifest": str(folder / "first/manifest.csv")})
    config.data.label_kind, config.data.label_column = "numeric", "mos"
    config.data.features = ()
    config.data.manifests.narrow = default.opinion_set(
        str(folder / "narrow/manifest.csv"), maximum=1.0
    )
    config.data.manifests["reversed"] = default.opinion_set(
        str(folder / "reversed/manifest.csv"), minimum=1.0, maximum=5.0, higher_is_better=False
    )
    config.early_stopping.metric, config.uncertainty.ood = "", "none"
    config.data.fractions = (0.75, 0.0, 0.25)
    config.augment.hue_jitter = config.augment.saturation_jitter = 0.0
    config.model.dropout, config.loss.regression.plcc_weight = 0.0, 0.5
    config.batch_size, config.epochs = 24, 40
    config.optimizer.learning_rate, config.optimizer.decay = 3e-3, "cosine"
    config.optimizer.weight_decay = 0.0
    config.log_every_steps = 100
    return config


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for seed, (name, written) in enumerate(WRITTEN.items()):
        draw_set(folder / name, written, seed)
    return several_sets_config(folder)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """The workdir of a finished run on three sets; only to be read."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("devices", "local_devices"):
            patch.setattr(jax, name, lambda devices=jax.devices()[:1]: devices)
        patch.setattr(jax, "device_count", lambda: 1)
        folder = tmp_path_factory.mktemp("runs") / "several"
        assert train_module.train(config, str(folder), "") == 0
    return folder


def test_the_order_is_found_in_every_set(run):
    metrics = json.loads((run / "metrics.json").read_text())
    for split in ("test", "narrow_test", "reversed_test"):
        assert metrics[split]["srcc"] > 0.95, split
    # On the scale of the first set, whatever the others': quality itself.
    table = pd.read_csv(run / "predictions_test.csv")
    assert np.abs(table["score"] - table["label"]).mean() < 8


def test_the_planted_lines_are_learnt(run):
    variables, _ = restore_trained(Workdir(run), Workdir(run).config())
    learnt = {name: np.asarray(leaf) for name, leaf in variables["params"]["set_scales"].items()}
    # Of outputs from -1 to 1: 2q - 1 stands for a quality q, and 0.2 + 0.4q for 0.4 of it less 0.2.
    np.testing.assert_allclose(np.exp(10 * learnt["log_slope"]), [0.4, 1.0], atol=0.1)
    np.testing.assert_allclose(10 * learnt["shift"], [-0.2, 0.0], atol=0.1)


@pytest.mark.usefixtures("one_device")
def test_the_run_opens_again_with_all_its_sets(run, config, tmp_path, monkeypatch):
    # From a folder that relative paths would not lead out of.
    monkeypatch.chdir(tmp_path)
    before = json.loads((run / "metrics.json").read_text())
    evaluate_run(Workdir(run), command="")
    after = json.loads((run / "metrics.json").read_text())
    assert after["narrow_test"]["srcc"] == before["narrow_test"]["srcc"]
    # Images of all sets are known again as seen.
    manifest = build.manifest_from_config(config)
    assert len(seen_by(Workdir(run)).learnt) == (manifest.images["split"] == "train").sum() == 180
    # Their places are no part of what the run is.
    moved = config.copy_and_resolve_references()
    moved.data.manifests.narrow.path = "elsewhere/manifest.csv"
    Workdir(run).open_for_training(moved, manifest)


@pytest.mark.parametrize(("share", "counts"), [(1.0, [160, 160, 160]), (4.0, [80, 320, 80])])
def test_each_set_is_drawn_as_often_as_its_share_says(config, tmp_path, share, counts):
    config = config.copy_and_resolve_references()
    few = Path(config.data.manifests.narrow.path).with_name("few.csv")
    pd.read_csv(few.with_name("manifest.csv")).iloc[:8].to_csv(few, index=False)
    config.data.manifests.narrow.path = str(few)
    config.data.manifests.narrow.share = share
    manifest = build.manifest_from_config(config)
    data = prepare_training(config, manifest, Workdir(tmp_path))
    with closing(data.batches(batch_settings_from_config(config))) as batches:
        drawn = np.concatenate([next(batches)["image_id"] for _ in range(20)])
    found = np.bincount(manifest.images["set_id"].to_numpy()[drawn])
    np.testing.assert_array_equal(found, counts)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model.kernel_ridge": True}, "model.kernel_ridge knows one set"),
        ({"data.label_std_column": "std"}, "data.label_std_column knows one set"),
        ({"loss.name": "emd"}, "only huber, l1, l2 learn from several"),
        ({"data.manifests.narrow.path": ""}, r"data.manifests.narrow.path is empty"),
        ({"data.manifests.narrow.maximum": -1.0}, "data.manifests: numeric labels need"),
        ({"data.manifests.narrow.share": 0.0}, "data.manifests.narrow.share is 0.0; it must be"),
        ({"data.manifests.narrow.share": 2.0}, "of one set there are 6 in a batch: they should be"),
    ],
)
def test_what_several_sets_cannot_have_is_said(config, changes, what):
    config = config.copy_and_resolve_references()
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=what):
        check_config(config)


def test_a_key_that_no_set_has_is_refused(config):
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.data.manifests.narrow.maximal = 2.0
        del config.data.manifests.narrow.maximum
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    assert "data.manifests.narrow.maximal is no key" in str(caught.value)
    assert "data.manifests.narrow.maximum is missing" in str(caught.value)
