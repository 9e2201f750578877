"""Comparing fusions: intervals that say what they should, and runs that are not done twice."""

import csv
import json
import signal

import numpy as np
import pytest

from iqa_jax import compare as compare_module
from iqa_jax.analysis import comparison
from iqa_jax.analysis.comparison import SplitAnswers, compare_members
from iqa_jax.compare import compare
from iqa_jax.config import ConfigError
from iqa_jax.workdir import Workdir


def plcc(values, labels):
    return np.corrcoef(values[:, 0], labels)[0, 1] if np.ptp(labels) > 0 else None


def mae(values, labels):
    return float(np.abs(values[:, 0] - labels).mean())


def make_splits(noise: dict[str, float], splits: int = 4, images: int = 40, per_group: int = 1):
    """Members whose answers are the label and so much noise, of their own in every split."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(splits):
        labels = rng.normal(size=images // per_group).repeat(per_group)
        own = rng.normal(size=(len(noise), images // per_group)).repeat(per_group, axis=1)
        values = {
            name: (labels + scale * row)[:, None]
            for (name, scale), row in zip(noise.items(), own, strict=True)
        }
        groups = np.array([f"g{row // per_group}" for row in range(images)])
        made.append(SplitAnswers(values, labels, groups))
    return made


def test_the_same_answers_differ_by_exactly_nothing():
    splits = make_splits({"mean_embedding": 1.0})
    for split in splits:
        split.values["twin"] = split.values["mean_embedding"].copy()
    twin = compare_members(splits, plcc, "mean_embedding")["twin"]
    assert twin.difference == twin.low == twin.high == 0
    assert not twin.is_separated


def test_a_clearly_better_and_a_clearly_worse_member_are_separated():
    splits = make_splits({"mean_embedding": 1.0, "better": 0.1, "worse": 10.0, "alike": 1.05})
    compared = compare_members(splits, plcc, "mean_embedding")
    assert 0 < compared["better"].low < compared["better"].difference < compared["better"].high
    assert compared["worse"].low < compared["worse"].difference < compared["worse"].high < 0
    assert compared["alike"].low < 0 < compared["alike"].high
    assert [compared[name].is_separated for name in compared] == [False, True, True, False]
    expected = [plcc(s.values["better"], s.labels) for s in splits]
    np.testing.assert_array_equal(compared["better"].figures, expected)


def test_a_lower_error_is_a_difference_above_0():
    splits = make_splits({"mean_embedding": 1.0, "better": 0.1})
    better = compare_members(splits, mae, "mean_embedding", is_lower_better=True)["better"]
    figures = [mae(s.values["mean_embedding"], s.labels) for s in splits]
    assert better.difference == pytest.approx(np.mean(figures - better.figures))
    assert better.low > 0


def test_photos_of_one_group_count_once():
    # Ten copies of every image tell no more than one: of single images the interval narrows.
    def width(**sizes):
        splits = make_splits({"mean_embedding": 1.0, "other": 0.7}, splits=1, **sizes)
        other = compare_members(splits, plcc, "mean_embedding")["other"]
        return other.high - other.low

    once = width(images=20)
    assert width(images=200, per_group=10) == pytest.approx(once, rel=0.1)
    assert width(images=200) < 0.6 * once


def test_one_image_in_all_splits_is_not_many_images():
    (split,) = make_splits({"mean_embedding": 1.0, "other": 0.7}, splits=1)
    once, often = (
        compare_members([split] * times, plcc, "mean_embedding")["other"] for times in (1, 8)
    )
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.15)


def test_an_undefined_metric_is_refused():
    splits = make_splits({"mean_embedding": 1.0})
    splits[2].labels[:] = 3.0
    with pytest.raises(ValueError, match="mean_embedding is undefined .* split 2"):
        compare_members(splits, plcc, "mean_embedding")


@pytest.fixture
def config(tiny_config, tiny_manifest, tmp_path):
    """Two fusions on splits that are drawn."""
    with tiny_manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    manifest = tmp_path / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, ("path", "label", "group"), extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            path = str(tiny_manifest.parent / row["path"])
            writer.writerow(row | {"path": path})
    tiny_config.data.manifest, tiny_config.data.features = str(manifest), ()
    # On embeddings the training step compiles in seconds.
    tiny_config.model.width_multiplier, tiny_config.model.weights = 1.0, "imagenet"
    tiny_config.model.trainable_layers = 0
    tiny_config.bags.cached, tiny_config.bags.tiles = True, 4
    tiny_config.bags.cache_folder = str(tmp_path / "embeddings")
    tiny_config.compare.fusions = ("mean_embedding", "gated_attention")
    tiny_config.compare.splits = 2
    return tiny_config


def test_two_fusions_on_two_splits(config, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "compared"
    monkeypatch.setattr(comparison, "DRAWS", 50)
    config.compare.splits = 1
    assert compare(config, str(folder), "") == 0

    trained = []

    def fit(config, data, workdir):
        trained.append(workdir.folder.relative_to(folder).as_posix())
        return real_fit(config, data, workdir)

    real_fit = compare_module.fit
    monkeypatch.setattr(compare_module, "fit", fit)
    config.compare.splits = 2
    capsys.readouterr()
    assert compare(config, str(folder), "the command") == 0
    assert trained == ["split_1/mean_embedding", "split_1/gated_attention"]

    record = Workdir(folder).read_json("comparison.json")
    members = {row["fusion"]: row for row in record["members"]}
    assert list(members) == ["mean_embedding", "gated_attention", "mean_score", "vote"]
    assert record["metric"] == "auroc" and record["command"] == "the command"
    reference, attention = members["mean_embedding"], members["gated_attention"]
    assert reference["difference"] == reference["difference_low"] == 0
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
        if row["difference_low"] <= 0 <= row["difference_high"] and row is not reference:
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
    monkeypatch.setattr(compare_module, "fit", lambda *_: signal.SIGTERM)
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
