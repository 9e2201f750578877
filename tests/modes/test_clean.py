"""Cleaning: who judges never saw what it judges, only training is filtered, nothing done twice."""

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis import bootstrap
from iqa_jax.modes import clean as clean_module
from iqa_jax.modes.clean import clean
from iqa_jax.reporting import run_maps
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.studies import study
from iqa_jax.training.training_error import TrainingError


@pytest.fixture
def config(tiny_config, tmp_path):
    """A tile classifier on embeddings, on the tiny manifest with its own splits."""
    config = tiny_config
    config.data.features = ()
    config.model.encoder = "mobilenet_v2"
    config.encoder.mobilenet_v2.width_multiplier, config.model.weights = 1.0, "imagenet"
    config.model.trainable_layers, config.bags.cached = 0, True
    config.bags.cache_folder = str(tmp_path / "embeddings")
    config.evaluate_every_epochs, config.noise.folds = 1.0, 2
    return config


@pytest.mark.usefixtures("one_device")
def test_killed_in_the_middle_it_goes_on_and_another_filter_shares_the_folds(
    config, tmp_path, monkeypatch
):
    folder, trained, real_fit = tmp_path / "clean", [], study.fit
    monkeypatch.setattr(bootstrap, "DRAWS", 50)
    # Compiles for longer than all of this trains, and has tests of its own.
    monkeypatch.setattr(run_maps, "grad_cam_overlays", lambda *_: None)
    real_train = clean_module.train

    def fit(config, data, workdir):
        trained.append(workdir.folder.relative_to(folder).as_posix())
        # Whatever trains a fold is of other groups than what it judges.
        images = data.manifest.images
        used = set(images["group"].iloc[data.index.image_id])
        assert used and not used & set(images["group"][images["split"] == "test"])
        is_killed = trained[1:] == ["folds/split_0/run", "folds/split_1/run"]
        return signal.SIGTERM if is_killed else real_fit(config, data, workdir)

    def train(config, run, command):
        trained.append(str(run).removeprefix(f"{folder}/"))
        return real_train(config, run, command)

    monkeypatch.setattr(study, "fit", fit)
    monkeypatch.setattr(clean_module, "train", train)
    config.noise.filter, config.noise.keep_share = "small_loss", 0.75
    assert clean(config, str(folder), "") == 128 + signal.SIGTERM
    assert not (folder / "tiles.csv").exists()
    assert clean(config, str(folder), "the command") == 0
    first = ["plain", "folds/split_0/run", "folds/split_1/run", "folds/split_1/run"]
    assert trained == [*first, "small_loss/run"]

    # Every training tile is judged once, by the fold that its image was kept out of.
    tiles = pd.read_csv(folder / "tiles.csv")
    manifest = build.manifest_from_config(config)
    train_images = manifest.split("train").query("label >= 0")
    assert len(tiles) == 4 * len(train_images) == 96
    assert not tiles.duplicated(["image", "row", "column"]).any()
    assert set(tiles["image"]) == set(train_images["name"])
    for number, part in tiles.groupby("fold"):
        rows = pd.read_csv(folder / "folds" / f"split_{number}" / "rows.csv")
        roles = rows.set_index("name")["split"]
        assert set(roles[part["image"]]) == {"test"}
    own = np.where(tiles["label"] == "good", tiles["p_good"], tiles["p_bad"])
    np.testing.assert_allclose(tiles["confidence"], own, rtol=1e-12)
    # Both are the same answers: the fold's image score is the mean over its tiles.
    answers = Workdir(folder / "folds" / "split_0" / "run").read_json("tested.json")
    scores = dict(zip(answers["names"], answers["values"]["mean_score"], strict=True))
    means = tiles[tiles["fold"] == 0].groupby("image")["p_good"].mean()
    np.testing.assert_allclose(means, [scores[name][1] for name in means.index], rtol=1e-5)

    dropped = pd.read_csv(folder / "small_loss" / "dropped_tiles.csv")
    assert list(dropped.columns) == ["image", "row", "column", "label", "confidence", "reason"]
    assert dropped["label"].value_counts().to_dict() == {"bad": 12, "good": 12}
    assert set(dropped["reason"]) == {
        f"one of the 25% of {name} with the largest loss" for name in ("bad", "good")
    }
    # The cleaned run trained on the rest, and is a run like any other.
    cleaned = Workdir(folder / "small_loss" / "run")
    assert cleaned.config().data.dropped_tiles.endswith("small_loss/dropped_tiles.csv")
    plain = Workdir(folder / "plain")
    steps = [run.read_json("metrics.json")["test"]["step"] for run in (plain, cleaned)]
    assert steps == [12, 9]

    # The gain is that of the runs' own predictions, of all images of splits that no one filters.
    record = json.loads((folder / "small_loss" / "cleaning.json").read_text())
    assert [row["dropped"] for row in record["classes"]] == [12, 12]
    assert set(record["splits"]) == {"val", "test"} and record["command"] == "the command"
    for split, compared in record["splits"].items():
        assert compared["rows"] == len(manifest.split(split))
        auroc = compared["figures"]["auroc"]
        for key, run in (("a", cleaned), ("b", plain)):
            assert auroc[key] == pytest.approx(run.read_json("metrics.json")[split]["auroc"])
        assert auroc["difference"] == pytest.approx(auroc["a"] - auroc["b"])
    page = (folder / "small_loss" / "cleaning.html").read_text()
    assert "24 of 96 training tiles are dropped by small_loss" in page
    assert (folder / "small_loss" / "dropped_tiles.png").stat().st_size > 2000

    # The same again trains nothing; another filter trains its own run alone.
    del trained[:]
    assert clean(config, str(folder), "") == 0
    assert trained == []
    config.noise.filter, config.noise.band = "band", (0.0, 1.0)
    assert clean(config, str(folder), "") == 0
    assert trained == []
    record = json.loads((folder / "band" / "cleaning.json").read_text())
    assert record["splits"] == {} and [row["dropped"] for row in record["classes"]] == [0, 0]

    # Another list is not mixed with the run on the old one.
    config.noise.filter, config.noise.keep_share = "small_loss", 0.5
    with pytest.raises(WorkdirError, match="lists other tiles than are found now"):
        clean(config, str(folder), "")
    assert len(pd.read_csv(folder / "small_loss" / "dropped_tiles.csv")) == 24
    config.noise.folds = 4
    with pytest.raises(WorkdirError, match="lists other splits than are drawn now"):
        clean(config, str(folder), "")


def test_a_wrong_config_is_refused_with_every_reason(config, tmp_path):
    config.noise.filter, config.noise.folds, config.noise.band = "bnad", 1, (0.9, 0.1)
    config.noise.keep_share, config.data.dropped_tiles = 0.0, "other.csv"
    with pytest.raises(ConfigError) as refused:
        clean(config, str(tmp_path / "clean"), "")
    assert len(refused.value.problems) == 5
    assert not (tmp_path / "clean").exists()


def test_folds_that_cannot_be_drawn_are_refused_before_anything_trains(
    config, tmp_path, monkeypatch
):
    monkeypatch.setattr(clean_module, "train", lambda *_: pytest.fail("it trained first"))
    folder = tmp_path / "clean"
    config.noise.folds = 200
    with pytest.raises(TrainingError, match="noise.folds is 200: 4 groups cannot fill the 200"):
        clean(config, str(folder), "")
    # Folds of which one would learn a single class.
    table = pd.read_csv(config.data.manifest)
    home = Path(config.data.manifest).parent
    table["path"] = [str(home / path) for path in table["path"]]
    is_train = table["split"] == "train"
    table.loc[is_train, "label"] = np.where(table["group"][is_train] == "scene0", "bad", "good")
    table.to_csv(tmp_path / "manifest.csv", index=False)
    config.data.manifest, config.noise.folds = str(tmp_path / "manifest.csv"), 2
    with pytest.raises(TrainingError, match="split . cannot be used:\n.*no image of class"):
        clean(config, str(folder), "")
    assert not folder.exists()
