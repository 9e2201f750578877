"""Intervals cover what they should, and photos of one group count once."""

import numpy as np
import pytest

from iqa_jax.analysis import bootstrap
from iqa_jax.analysis.bootstrap import (
    draw_split_means,
    draw_weights,
    group_intervals,
    percentile_interval,
    too_dear,
)
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.analysis.weighted_metrics import score_measures


def make_scores(rng, groups: int, per_group: int, shared: float):
    """Predictions whose error is partly shared by a group; errors have variance 1 + shared²."""
    labels = rng.uniform(0, 10, groups * per_group)
    error = rng.normal(size=len(labels)) + shared * rng.normal(size=groups).repeat(per_group)
    return labels + error, labels, np.arange(groups).repeat(per_group)


def test_intervals_cover_the_truth_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 400)
    rng, times = np.random.default_rng(0), 200
    truth = np.sqrt(1 + 1.5**2) * np.sqrt(2 / np.pi)  # Of the mean absolute error.
    by_group, by_row = 0, 0
    for _ in range(times):
        predictions, labels, groups = make_scores(rng, groups=50, per_group=6, shared=1.5)
        measure = {"mae": score_measures(predictions, labels)["mae"]}
        low, high = group_intervals(measure, groups)["mae"]
        by_group += low <= truth <= high
        low, high = group_intervals(measure, np.arange(len(groups)))["mae"]
        by_row += low <= truth <= high
    # Four standard errors of a share of 0.95 in 200 are 0.06.
    assert 0.89 <= by_group / times <= 1.0
    # Taking photos of one scene for independent ones promises too much.
    assert by_row / times < 0.85


def test_the_width_is_that_of_the_normal_approximation():
    rng = np.random.default_rng(1)
    predictions, labels, groups = make_scores(rng, groups=400, per_group=1, shared=0)
    low, high = group_intervals({"mae": score_measures(predictions, labels)["mae"]}, groups)["mae"]
    expected = 2 * 1.96 * np.abs(predictions - labels).std() / np.sqrt(400)
    assert high - low == pytest.approx(expected, rel=0.1)


def test_copies_in_a_group_change_nothing():
    rng = np.random.default_rng(2)
    predictions, labels, groups = make_scores(rng, groups=30, per_group=1, shared=1)
    once = group_intervals(KINDS["numeric"]().measures(predictions[:, None], labels), groups)
    rows = np.arange(30).repeat(5)
    copied = group_intervals(
        KINDS["numeric"]().measures(predictions[rows][:, None], labels[rows]), groups[rows]
    )
    apart = group_intervals(
        KINDS["numeric"]().measures(predictions[rows][:, None], labels[rows]), np.arange(150)
    )
    for name, interval in once.items():
        assert copied[name] == pytest.approx(interval, abs=1e-9), name
        # As independent rows they would narrow it to less than half or so.
        assert np.ptp(apart[name]) < 0.65 * np.ptp(interval), name


def test_one_group_has_no_interval():
    predictions, labels, groups = make_scores(np.random.default_rng(3), 1, 20, 0)
    assert set(group_intervals(score_measures(predictions, labels), groups).values()) == {None}


def test_an_interval_needs_draws_that_define_it():
    draws = np.linspace(0, 1, 1001)
    assert percentile_interval(draws) == pytest.approx((0.025, 0.975))
    draws[::20] = np.nan  # One in twenty.
    assert percentile_interval(draws) == pytest.approx((0.025, 0.975), abs=2e-3)
    draws[::5] = np.nan
    assert percentile_interval(draws) is None
    # Of two groups of one class each, half the draws have one class only.
    scores = np.array([0.1, 0.9])
    measures = KINDS["binary"]().measures(np.stack([1 - scores, scores], axis=1), np.array([0, 1]))
    found = group_intervals(measures, np.array(["a", "b"]))
    assert found["auroc"] is None and found["accuracy"] == (1, 1)


def test_draws_do_not_depend_on_how_many_come_at_once(monkeypatch):
    whole = np.concatenate(list(draw_weights(30, 30)), axis=1)
    monkeypatch.setattr(bootstrap, "_BLOCK_WEIGHTS", 30 * 7)
    blocks = list(draw_weights(30, 30))
    assert len(blocks) == 143
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
    np.testing.assert_array_equal(whole.sum(axis=0), 30)


def test_kendall_is_left_out_where_it_would_take_minutes(monkeypatch):
    predictions, labels, groups = make_scores(np.random.default_rng(4), 10, 2, 0)
    measures = score_measures(predictions, labels)
    assert group_intervals(measures, groups)["krcc"]
    monkeypatch.setattr(bootstrap, "_KRCC_ROWS", 20 * bootstrap.DRAWS - 1)
    found = group_intervals(measures, groups)
    assert found["krcc"] is None and found["srcc"] and too_dear(measures, 20) == ["krcc"]


def test_splits_that_are_all_drawn_leave_their_groups():
    # Folds that test every group once: drawing groups alone is drawing images.
    predictions, labels, groups = make_scores(np.random.default_rng(5), 40, 1, 0)
    folds = np.arange(40) % 4
    parts = [
        ([score_measures(predictions[folds == k], labels[folds == k])["mae"]], groups[folds == k])
        for k in range(4)
    ]
    splits, part_groups = zip(*parts, strict=True)
    whole = group_intervals({"mae": score_measures(predictions, labels)["mae"]}, groups)["mae"]
    folded = percentile_interval(draw_split_means(splits, part_groups, draws_splits=False)[0])
    both = percentile_interval(draw_split_means(splits, part_groups)[0])
    assert np.ptp(folded) == pytest.approx(np.ptp(whole), rel=0.2)
    assert np.ptp(both) > np.ptp(folded)


def test_one_group_per_split_is_drawn_with_its_split():
    rng = np.random.default_rng(6)
    values = rng.normal(size=30)
    splits = [[score_measures(np.array([value]), np.zeros(1))["mae"]] for value in values]
    groups = [np.array([f"g{k}"]) for k in range(30)]
    low, high = percentile_interval(draw_split_means(splits, groups, draws_groups=False)[0])
    expected = 2 * 1.96 * np.abs(values).std() / np.sqrt(30)
    assert high - low == pytest.approx(expected, rel=0.15)
