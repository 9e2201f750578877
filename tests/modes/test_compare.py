"""Comparing fusions: rows that are right, and runs that are not done twice."""

import csv
import json
import signal

import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis import bootstrap
from iqa_jax.modes.compare import compare
from iqa_jax.run.checks import ConfigError
from iqa_jax.run.workdir import Workdir
from iqa_jax.studies import study
from iqa_jax.training.training_error import TrainingError


@pytest.fixture
def config(unsplit_config):
    """Two fusions on splits that are drawn."""
    unsplit_config.compare.fusions = ("mean_embedding", "gated_attention")
    unsplit_config.compare.splits = 2
    return unsplit_config


@pytest.mark.usefixtures("one_device")
def test_two_fusions_on_two_splits(config, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "compared"
    monkeypatch.setattr(bootstrap, "DRAWS", 50)
    config.compare.splits = 1
    assert compare(config, str(folder), "") == 0

    trained = []

    def fit(config, data, workdir):
        trained.append(workdir.folder.relative_to(folder).as_posix())
        return real_fit(config, data, workdir)

    real_fit = study.fit
    monkeypatch.setattr(study, "fit", fit)
    config.compare.splits = 2
    capsys.readouterr()
    assert compare(config, str(folder), "the command") == 0
    assert trained == ["split_1/mean_embedding", "split_1/gated_attention"]

    record = Workdir(folder).read_json("comparison.json")
    members = {row["fusion"]: row for row in record["members"]}
    assert list(members) == ["mean_embedding", "gated_attention", "mean_score", "vote"]
    assert record["metric"] == "auroc" and record["command"] == "the command"
    reference, attention = members["mean_embedding"], members["gated_attention"]
    assert reference["difference"] == 0
    assert attention["difference"] == pytest.approx(
        np.mean(np.subtract(attention["figures"], reference["figures"]))
    )
    assert attention["trainable_parameters"] > reference["trainable_parameters"]
    assert members["vote"]["trainable_parameters"] == reference["trainable_parameters"]
    assert all(row["training_seconds"] > 0 for row in members.values())
    said = capsys.readouterr().out
    assert 1 <= record["test_groups"] <= 2
    assert f"only {record['test_groups']} groups of images are tested" in said
    for row in members.values():
        low, high = row["difference_low"], row["difference_high"]
        if row is not reference and (low is None or low <= 0 <= high):
            assert row["verdict"] == "not separated from mean_embedding"
        assert row["verdict"] in said
    with (folder / "comparison.csv").open(newline="") as file:
        assert [row["fusion"] for row in csv.DictReader(file)] == list(members)
    assert (folder / "comparison.png").stat().st_size > 5000

    # Fusions of one split answer the same images; another split tests others.
    answers = {path.parent: json.loads(path.read_text()) for path in folder.rglob("tested.json")}
    names = {
        path.relative_to(folder).as_posix(): set(answer["names"])
        for path, answer in answers.items()
    }
    assert names["split_0/mean_embedding"] == names["split_0/gated_attention"]
    assert names["split_0/mean_embedding"] != names["split_1/mean_embedding"]

    # The old answers are not those of a longer training, nor is one that was stopped finished.
    monkeypatch.setattr(study, "fit", lambda *_: signal.SIGTERM)
    config.epochs, config.compare.splits = 2, 1
    assert compare(config, str(folder), "") == 128 + signal.SIGTERM
    assert not (folder / "split_0" / "mean_embedding" / "tested.json").exists()
    assert (folder / "split_0" / "gated_attention" / "tested.json").exists()


def test_a_wrong_comparison_is_refused_with_every_reason(config, tiny_manifest, tmp_path):
    config.bags.tiles = 1
    config.data.manifest = str(tiny_manifest)  # Has a column split.
    config.compare.fusions = ("gated_attention",)
    with pytest.raises(ConfigError) as refused:
        compare(config, str(tmp_path / "compared"), "")
    problems = "\n".join(refused.value.problems)
    assert "compare.fusions lacks mean_embedding" in problems
    assert "bags.tiles is 1" in problems
    assert "has a column split" in problems and "compare.splits=1" in problems
    assert not (tmp_path / "compared").exists()


def test_what_would_end_a_comparison_later_is_refused_first(config, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "fit", lambda *_: pytest.fail("it trained first"))
    config.compare.fusions = ("mean_embedding", "atention")
    with pytest.raises(ConfigError, match='compare.fusions has "atention"; .* mean "attention"?'):
        compare(config, str(tmp_path / "compared"), "")
    config.compare.fusions = ("mean_embedding",)
    config.compare.fractions = (0.6, 0.4, 0.0)
    with pytest.raises(ConfigError) as refused:
        compare(config, str(tmp_path / "compared"), "")
    problems = "\n".join(refused.value.problems)
    assert "compare.fractions is (0.6, 0.4, 0.0); test needs a share above 0" in problems
    # Splits of the manifest, of which none is tested.
    config.compare.splits = 1
    config.compare.fractions = (0.6, 0.2, 0.2)
    table = pd.read_csv(config.data.manifest)
    splits = {"scene4": "val", "scene5": "holdout"}
    table["split"] = table["group"].map(splits).fillna("train")
    table.to_csv(config.data.manifest, index=False)
    with pytest.raises(ConfigError, match="has no split 'test', which fusions are compared on"):
        compare(config, str(tmp_path / "compared"), "")
    # What is tested is all of one class.
    table = table.replace("holdout", "test")
    table.loc[table["split"] == "test", "label"] = "good"
    table.to_csv(config.data.manifest, index=False)
    with pytest.raises(TrainingError, match="split 'test' has no image of class 'bad'"):
        compare(config, str(tmp_path / "compared"), "")
    assert not (tmp_path / "compared").exists()
