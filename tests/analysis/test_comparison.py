"""Intervals of differences say what they should."""

import numpy as np
import pytest

from iqa_jax.analysis.comparison import SplitAnswers, compare_members
from iqa_jax.analysis.weighted_metrics import score_measures


def plcc(values, labels):
    return score_measures(values[:, 0], labels)["plcc"]


def mae(values, labels):
    return score_measures(values[:, 0], labels)["mae"]


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
    assert twin.difference == 0 and twin.interval == (0, 0)
    assert not twin.is_separated


def test_a_clearly_better_and_a_clearly_worse_member_are_separated():
    splits = make_splits({"mean_embedding": 1.0, "better": 0.1, "worse": 10.0, "alike": 1.05})
    compared = compare_members(splits, plcc, "mean_embedding")
    (low, high), difference = compared["better"].interval, compared["better"].difference
    assert 0 < low < difference < high
    (low, high), difference = compared["worse"].interval, compared["worse"].difference
    assert low < difference < high < 0
    low, high = compared["alike"].interval
    assert low < 0 < high
    assert [compared[name].is_separated for name in compared] == [False, True, True, False]
    expected = [np.corrcoef(s.values["better"][:, 0], s.labels)[0, 1] for s in splits]
    np.testing.assert_allclose(compared["better"].figures, expected, rtol=1e-12)


def test_a_lower_error_is_a_difference_above_0():
    splits = make_splits({"mean_embedding": 1.0, "better": 0.1})
    better = compare_members(splits, mae, "mean_embedding", is_lower_better=True)["better"]
    figures = [np.abs(s.values["mean_embedding"][:, 0] - s.labels).mean() for s in splits]
    assert better.difference == pytest.approx(np.mean(figures - better.figures))
    assert better.interval[0] > 0


def test_photos_of_one_group_count_once():
    # Ten copies of every image tell no more than one: of single images the interval narrows.
    def width(**sizes):
        splits = make_splits({"mean_embedding": 1.0, "other": 0.7}, splits=1, **sizes)
        other = compare_members(splits, plcc, "mean_embedding")["other"]
        return np.ptp(other.interval)

    once = width(images=20)
    assert width(images=200, per_group=10) == pytest.approx(once, rel=0.1)
    assert width(images=200) < 0.6 * once


def test_one_image_in_all_splits_is_not_many_images():
    (split,) = make_splits({"mean_embedding": 1.0, "other": 0.7}, splits=1)
    once, often = (
        compare_members([split] * times, plcc, "mean_embedding")["other"] for times in (1, 8)
    )
    assert np.ptp(often.interval) == pytest.approx(np.ptp(once.interval), rel=0.15)


def test_one_group_separates_nothing():
    splits = make_splits({"mean_embedding": 1.0, "better": 0.1}, images=40, per_group=40)
    for split in splits:
        split.labels[:] = np.arange(40)
        split.values["better"][:] = split.labels[:, None]
        split.values["mean_embedding"][:] = np.random.default_rng(0).normal(size=(40, 1))
    better = compare_members(splits, plcc, "mean_embedding")["better"]
    assert better.difference > 0.5 and better.interval is None and not better.is_separated


def test_an_undefined_metric_is_refused():
    splits = make_splits({"mean_embedding": 1.0})
    splits[2].labels[:] = 3.0
    with pytest.raises(ValueError, match="mean_embedding is undefined .* split 2"):
        compare_members(splits, plcc, "mean_embedding")
