"""A logistic map finds its own parameters, and says where it cannot be had."""

import numpy as np
import pytest
from scipy import stats

from iqa_jax.analysis.logistic import ScoreMap, fit_score_map

X = np.linspace(-3, 4, 120)


@pytest.mark.parametrize(
    "truth",
    [
        ScoreMap("logistic_4", (80.0, 20.0, 0.7, 0.9)),
        ScoreMap("logistic_4", (4.5, 1.2, -1.0, 0.4)),
        ScoreMap("logistic_5", (6.0, 1.7, 0.4, 0.3, 2.0)),
    ],
)
def test_a_map_recovers_its_own_parameters(truth):
    found = fit_score_map(X, truth(X), truth.kind)
    assert found.kind == truth.kind and found.rows == len(X) and not found.note
    np.testing.assert_allclose(found.parameters, truth.parameters, rtol=1e-4)
    # On another scale of predictions the map is the same.
    scaled = fit_score_map(1000 * X + 5000, truth(X), truth.kind)
    np.testing.assert_allclose(scaled(1000 * X + 5000), truth(X), rtol=1e-5)


def test_the_formulas_are_those_of_the_papers():
    b1, b2, b3, b4 = 9.0, 2.0, 0.5, -0.8
    expected = (b1 - b2) / (1 + np.exp(-(X - b3) / abs(b4))) + b2
    np.testing.assert_allclose(ScoreMap("logistic_4", (b1, b2, b3, b4))(X), expected)
    b1, b2, b3, b4, b5 = 6.0, 1.7, 0.4, 0.3, 2.0
    expected = b1 * (0.5 - 1 / (1 + np.exp(b2 * (X - b3)))) + b4 * X + b5
    np.testing.assert_allclose(ScoreMap("logistic_5", (b1, b2, b3, b4, b5))(X), expected)
    assert np.isfinite(ScoreMap("logistic_4", (1, 0, 0, 1e-9))(np.array([-1e6, 1e6]))).all()


def test_a_map_brings_a_curved_scorer_closer_and_keeps_its_order():
    rng = np.random.default_rng(0)
    scores = rng.uniform(-4, 4, 400)
    labels = 100 / (1 + np.exp(-1.5 * scores)) + rng.normal(scale=5, size=400)
    found = fit_score_map(scores[:200], labels[:200])
    mapped, held_out = found(scores[200:]), labels[200:]
    assert (
        stats.pearsonr(mapped, held_out).statistic
        > 0.01 + stats.pearsonr(scores[200:], held_out).statistic
    )
    assert stats.spearmanr(mapped, scores[200:]).statistic == pytest.approx(1)
    assert np.sqrt(((mapped - held_out) ** 2).mean()) < 6


@pytest.mark.parametrize("kind", ["logistic_4", "logistic_5"])
def test_without_a_map_a_straight_line_says_why(kind):
    rng = np.random.default_rng(1)
    labels = rng.uniform(1, 5, 30)
    constant = fit_score_map(np.full(30, 3.0), labels, kind)
    assert constant.kind == "linear" and "all the same" in constant.note
    np.testing.assert_allclose(constant(np.array([0.0, 9.0])), labels.mean())
    few = fit_score_map(np.array([1.0, 2, 3]), np.array([1.0, 2, 3]), kind)
    assert few.kind == "linear" and "do not fix" in few.note
    np.testing.assert_allclose(few(np.array([7.0])), 7)


@pytest.mark.parametrize("kind", ["logistic_4", "logistic_5"])
def test_a_scorer_that_runs_the_wrong_way_is_not_turned_round(kind):
    labels = 5 - 4 / (1 + np.exp(-2 * X))
    found = fit_score_map(X, labels, kind)
    assert found.kind == "linear" and "no rising" in found.note
    # The line does not fall either: its predictions are the mean, whose PLCC is undefined.
    assert np.ptp(found(X)) == 0


def test_bad_rows_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        fit_score_map(np.array([1.0, np.nan]), np.array([1.0, 2]))
    with pytest.raises(ValueError, match="not one of logistic_4, logistic_5"):
        fit_score_map(X, X, "logistic_6")
    with pytest.raises(ValueError, match="cannot be fitted"):
        fit_score_map(X[:0], X[:0])
