"""Weighted figures are those of rows repeated by their weights, and SciPy's and scikit-learn's."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from iqa_jax.analysis import weighted_metrics
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.analysis.metrics import (
    binary_metrics,
    class_metrics,
    decision_metrics,
    mapped_metrics,
    score_metrics,
)
from iqa_jax.analysis.weighted_metrics import binary_measures, decision_measures, score_measures

ROWS = 60


def make_weights(rows: int = ROWS) -> np.ndarray:
    """Every row once, then draws with replacement."""
    rng = np.random.default_rng(7)
    drawn = rng.multinomial(rows, np.full(rows, 1 / rows), size=6).T
    return np.concatenate([np.ones((rows, 1)), drawn], axis=1)


def check_same(measures, plain, weights: np.ndarray) -> None:
    """Compares measures with the plain metrics of repeated rows, draw by draw."""
    for draw, column in enumerate(weights.T):
        expected = plain(np.repeat(np.arange(len(weights)), column.astype(int)))
        expected = {
            name: value
            for name, value in expected.items()
            if name not in ("n", "n_good", "confusion") and value is not None
        }
        for name, value in expected.items():
            assert measures[name](weights)[draw] == pytest.approx(value, abs=1e-9), name
        undefined = measures.keys() - expected.keys()
        assert all(np.isnan(measures[name](weights)[draw]) for name in undefined), undefined


@pytest.mark.parametrize("digits", [1, 6])  # One digit: many ties, some at 0 and 1.
def test_binary_figures(digits):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, ROWS)
    scores = np.clip(0.3 * labels + rng.uniform(-0.2, 0.9, ROWS), 0, 1).round(digits)
    check_same(
        KINDS["binary"]().measures(np.stack([1 - scores, scores], axis=1), labels),
        lambda rows: binary_metrics(scores[rows], labels[rows]),
        make_weights(),
    )


@pytest.mark.parametrize("is_ordered", [True, False])
def test_class_figures(is_ordered):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, ROWS)
    probabilities = rng.dirichlet(np.ones(4), ROWS) + 0.4 * np.eye(4)[labels]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    check_same(
        KINDS["ordered" if is_ordered else "unordered"]().measures(probabilities, labels),
        lambda rows: class_metrics(probabilities[rows], labels[rows], is_ordered),
        make_weights(),
    )


@pytest.mark.parametrize("digits", [0, 6])
@pytest.mark.parametrize("pairwise_rows", [0, 2000])  # Both ways to Kendall's tau.
def test_score_figures(digits, pairwise_rows, monkeypatch):
    monkeypatch.setattr(weighted_metrics, "_PAIRWISE_ROWS", pairwise_rows)
    rng = np.random.default_rng(2)
    targets = rng.uniform(0, 10, ROWS).round(digits)
    predictions = (targets + rng.normal(scale=3, size=ROWS)).round(digits)
    std, mapped = rng.uniform(0.5, 3, ROWS), np.tanh(predictions / 10)
    check_same(
        score_measures(predictions, targets, mapped=mapped, std=std),
        lambda rows: (
            score_metrics(predictions[rows], targets[rows], std[rows])
            | mapped_metrics(mapped[rows], targets[rows])
        ),
        make_weights(),
    )


def test_draws_that_leave_a_figure_undefined():
    labels, scores = np.array([0, 0, 1, 1, 2]), np.array([0.1, 0.4, 0.35, 0.8, 0.8])
    weights = np.array([[1, 1, 0, 0, 0], [0, 0, 2, 1, 0], [0, 0, 0, 1, 3], [0, 0, 0, 0, 0]]).T
    is_binary = labels < 2
    check_same(
        binary_measures(scores[is_binary], labels[is_binary]),
        lambda rows: binary_metrics(scores[is_binary][rows], labels[is_binary][rows]),
        weights[is_binary],
    )
    predicted = np.array([0, 1, 1, 1, 2])
    check_same(
        decision_measures(predicted, labels, 3, is_ordered=True),
        lambda rows: decision_metrics(predicted[rows], labels[rows], 3, is_ordered=True),
        weights,
    )
    check_same(
        score_measures(scores, labels),
        lambda rows: score_metrics(scores[rows], labels[rows].astype(float)),
        weights,
    )


def test_the_identity_draw_is_scipys_and_scikit_learns():
    rng = np.random.default_rng(3)
    x = rng.normal(size=ROWS).round(1)
    y = (x + rng.normal(size=ROWS)).round(1)
    once = np.ones((ROWS, 1))
    found = {name: measure(once)[0] for name, measure in score_measures(x, y).items()}
    assert found["srcc"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert found["krcc"] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert found["plcc"] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    labels, scores = (y > 0).astype(int), stats.rankdata(x) / ROWS
    found = {name: measure(once)[0] for name, measure in binary_measures(scores, labels).items()}
    called = (scores >= 0.5).astype(int)
    expected = {
        "auroc": sklearn_metrics.roc_auc_score(labels, scores),
        "auprc": sklearn_metrics.average_precision_score(labels, scores),
        "accuracy": sklearn_metrics.accuracy_score(labels, called),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, called),
        "f1": sklearn_metrics.f1_score(labels, called),
        "log_loss": sklearn_metrics.log_loss(labels, scores),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("missing", [None, 3])  # A grade that has no row, or is never called.
def test_decisions_are_scikit_learns(missing):
    rng = np.random.default_rng(8)
    grades = np.setdiff1d(np.arange(4), missing)
    labels, predicted = rng.choice(grades, ROWS), rng.integers(0, 4, ROWS)
    for true, called in ((labels, predicted), (predicted, labels)):
        measures = decision_measures(called, true, 4, is_ordered=True)
        found = {name: measure(np.ones((ROWS, 1)))[0] for name, measure in measures.items()}
        recalls = sklearn_metrics.recall_score(true, called, average=None, labels=np.unique(true))
        assert found == pytest.approx(
            {
                "accuracy": sklearn_metrics.accuracy_score(true, called),
                "balanced_accuracy": recalls.mean(),
                "macro_f1": sklearn_metrics.f1_score(true, called, average="macro"),
                "quadratic_kappa": sklearn_metrics.cohen_kappa_score(
                    true, called, labels=range(4), weights="quadratic"
                ),
                "grade_mae": sklearn_metrics.mean_absolute_error(true, called),
            },
            abs=1e-12,
        )


def test_log_loss_is_scikit_learns_at_both_ends():
    scores, labels = np.array([0.0, 1.0, 0.3, 1.0, 0.0]), np.array([0, 1, 1, 0, 1])
    found = binary_measures(scores, labels)["log_loss"](np.ones((5, 1)))[0]
    assert found == pytest.approx(sklearn_metrics.log_loss(labels, scores), abs=1e-12)


def test_ranks_see_order_only_in_every_draw():
    rng = np.random.default_rng(4)
    y = rng.normal(size=ROWS)
    x, weights = y + rng.normal(size=ROWS), make_weights()
    plain, curved = score_measures(x, y), score_measures(np.exp(3 * x), y)
    for name in ("srcc", "krcc"):
        np.testing.assert_allclose(curved[name](weights), plain[name](weights), atol=1e-12)
    assert np.abs(curved["plcc"](weights) - plain["plcc"](weights)).min() > 0.01


def test_marginal_rows_count_in_no_figure():
    rng = np.random.default_rng(5)
    scores, labels = rng.uniform(size=ROWS), rng.integers(-1, 2, ROWS)
    values, weights = np.stack([1 - scores, scores], axis=1), make_weights()
    is_labelled = labels >= 0
    everything = KINDS["binary"]().measures(values, labels)
    labelled = KINDS["binary"]().measures(values[is_labelled], labels[is_labelled])
    for name, measure in everything.items():
        np.testing.assert_array_equal(measure(weights), labelled[name](weights[is_labelled]))
