"""The figures of merit equal values worked out by hand, and say so where they are undefined."""

import json
import math

import numpy as np
import pytest

from iqa_jax.analysis.calibration import reliability_table
from iqa_jax.analysis.metrics import (
    binary_metrics,
    class_metrics,
    decision_metrics,
    mapped_metrics,
    score_metrics,
)


def test_binary_metrics_by_hand():
    found = binary_metrics(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    assert found == {
        "n": 4,
        "n_good": 2,
        "auroc": pytest.approx(3 / 4),
        "auprc": pytest.approx(1 / 2 + 2 / 3 / 2),
        "accuracy": 3 / 4,
        "balanced_accuracy": 3 / 4,
        "f1": pytest.approx(2 / 3),
        "log_loss": pytest.approx(-math.log(0.9 * 0.6 * 0.35 * 0.8) / 4),
        # Confidences 0.9 (right), 0.6 (right), 0.65 (wrong, in the bin of 0.6's neighbour), 0.8.
        "ece": pytest.approx((0.1 + 0.4 + 0.65 + 0.2) / 4),
        "confusion": [[2, 0], [1, 1]],
    }


def test_threshold_moves_decisions_only_and_includes_its_own_value():
    scores, labels = np.array([0.1, 0.3, 0.7]), np.array([0, 1, 1])
    at_half, at_score = binary_metrics(scores, labels), binary_metrics(scores, labels, 0.3)
    assert at_half["accuracy"] == pytest.approx(2 / 3)
    assert at_score["accuracy"] == 1.0
    assert at_half["auroc"] == at_score["auroc"]


def test_tied_scores_count_half():
    labels = np.array([0, 1, 0, 1])
    assert binary_metrics(np.full(4, 0.5), labels)["auroc"] == 0.5
    assert binary_metrics(np.array([0.2, 0.2, 0.1, 0.9]), labels)["auroc"] == 3.5 / 4


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_undefined_not_zero(label):
    found = binary_metrics(np.array([0.2, 0.9]), np.full(2, label))
    assert found["auroc"] is found["auprc"] is found["balanced_accuracy"] is None
    assert found["accuracy"] == 0.5
    assert found["log_loss"] > 0
    json.dumps(found, allow_nan=False)


def test_f1_without_any_good_is_undefined():
    assert binary_metrics(np.array([0.1, 0.2]), np.array([0, 0]))["f1"] is None
    assert binary_metrics(np.array([0.1, 0.9]), np.array([0, 0]))["f1"] == 0.0


def test_no_rows_define_nothing():
    empty, no_labels = np.zeros(0), np.zeros(0, int)
    for found in (
        binary_metrics(empty, no_labels),
        class_metrics(np.zeros((0, 3)), no_labels, is_ordered=True),
        score_metrics(empty, empty),
    ):
        figures = {k: v for k, v in found.items() if k not in ("n", "n_good", "confusion")}
        assert found["n"] == 0
        assert set(figures.values()) == {None}


def test_decision_metrics_by_hand():
    found = decision_metrics(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), 3, is_ordered=True)
    assert found == {
        "n": 4,
        "accuracy": 3 / 4,
        "balanced_accuracy": pytest.approx((1 + 1 + 1 / 2) / 3),
        "macro_f1": pytest.approx((1 + 2 / 3 + 2 / 3) / 3),
        "quadratic_kappa": pytest.approx(1 - 1 / 5),
        "grade_mae": 1 / 4,
        "confusion": [[1, 0, 0], [0, 1, 0], [0, 1, 1]],
    }
    json.dumps(found, allow_nan=False)


def test_a_class_without_rows_does_not_count_in_the_mean():
    found = decision_metrics(np.array([0, 2]), np.array([0, 2]), 3, is_ordered=True)
    assert found["balanced_accuracy"] == found["macro_f1"] == found["quadratic_kappa"] == 1.0
    assert np.array(found["confusion"]).shape == (3, 3)


def test_rows_of_one_class_compare_nothing():
    found = decision_metrics(np.array([1, 2]), np.array([1, 1]), 3, is_ordered=True)
    assert found["balanced_accuracy"] is found["macro_f1"] is found["quadratic_kappa"] is None
    assert found["accuracy"] == found["grade_mae"] == 0.5


def test_chance_agreement_is_a_kappa_of_zero():
    found = decision_metrics(np.array([1, 1, 1]), np.array([0, 1, 2]), 3, is_ordered=True)
    assert found["quadratic_kappa"] == pytest.approx(0.0)


def test_unordered_classes_have_no_grades():
    found = decision_metrics(np.array([0, 1]), np.array([1, 0]), 2, is_ordered=False)
    assert not {"quadratic_kappa", "grade_mae"} & found.keys()


def test_class_metrics_decide_by_the_largest_and_take_float32():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), size=50).astype(np.float32)
    labels = rng.integers(0, 4, size=50)
    found = class_metrics(probabilities, labels, is_ordered=True)
    log_loss, ece = found.pop("log_loss"), found.pop("ece")
    assert found == decision_metrics(probabilities.argmax(1), labels, 4, is_ordered=True)
    assert log_loss == pytest.approx(-np.log(probabilities[np.arange(50), labels]).mean(), 1e-5)
    table = [row for row in reliability_table(probabilities, labels) if row.count]
    gaps = [row.count * abs(row.accuracy - row.confidence) for row in table]
    assert ece == pytest.approx(sum(gaps) / 50)


def test_two_class_probabilities_agree_with_the_binary_figures():
    rng = np.random.default_rng(1)
    scores, labels = rng.uniform(size=40), rng.integers(0, 2, size=40)
    binary = binary_metrics(scores, labels)
    classes = class_metrics(np.stack([1 - scores, scores], axis=1), labels, is_ordered=False)
    for name in ("n", "accuracy", "balanced_accuracy", "log_loss"):
        assert classes[name] == pytest.approx(binary[name])


def test_a_tie_is_decided_as_in_the_binary_case():
    torn = np.array([[0.5, 0.5]])
    assert class_metrics(torn, np.array([1]), is_ordered=False)["accuracy"] == 1.0
    assert binary_metrics(torn[:, 1], np.array([1]))["accuracy"] == 1.0


def test_score_metrics_by_hand_with_a_tie():
    found = score_metrics(np.array([1.0, 2, 2, 4]), np.array([1.0, 2, 3, 4]))
    assert found == {
        "n": 4,
        "srcc": pytest.approx(4.5 / math.sqrt(4.5 * 5)),
        "krcc": pytest.approx(5 / math.sqrt(5 * 6)),
        "plcc": pytest.approx(4.5 / math.sqrt(4.75 * 5)),
        "rmse": 0.5,
        "mae": 0.25,
        "outlier_ratio": None,
    }


def test_two_scores_are_in_order_or_not():
    for sign in (1, -1):
        found = score_metrics(np.array([1.0, 2]), sign * np.array([3.0, 5]))
        assert [found[name] for name in ("srcc", "krcc", "plcc")] == pytest.approx([sign] * 3)


def test_an_outlier_is_beyond_two_standard_deviations():
    predictions, targets = np.array([1.0, 2, 3, 9]), np.array([1.0, 4, 4, 4])
    # Errors of 0, 2, 1 and 5 against twice 1, 1, 0.4 and 3: exactly two is no outlier.
    found = score_metrics(predictions, targets, np.array([1, 1, 0.4, 3]))
    assert found["outlier_ratio"] == 1 / 4
    assert score_metrics(predictions[:0], targets[:0], np.zeros(0))["outlier_ratio"] is None


def test_mapped_figures_are_those_of_the_mapped_predictions():
    predictions, targets = np.array([0.0, 1, 2, 3]), np.array([1.0, 2, 3, 5])
    found = mapped_metrics(2 * predictions, targets)
    plain = score_metrics(2 * predictions, targets)
    assert found == {"plcc_mapped": plain["plcc"], "rmse_mapped": plain["rmse"]}


def test_rank_correlations_see_order_only():
    rng = np.random.default_rng(2)
    targets = rng.uniform(size=30)
    predictions = targets + rng.normal(scale=0.2, size=30)
    plain, curved = score_metrics(predictions, targets), score_metrics(np.exp(predictions), targets)
    assert curved["srcc"] == pytest.approx(plain["srcc"])
    assert curved["krcc"] == pytest.approx(plain["krcc"])
    assert curved["plcc"] != pytest.approx(plain["plcc"])
    assert score_metrics(-predictions, targets)["srcc"] == pytest.approx(-plain["srcc"])


@pytest.mark.parametrize("constant_side", ["predictions", "targets"])
def test_correlation_with_a_constant_is_undefined(constant_side):
    values = {"predictions": np.arange(3.0), "targets": np.arange(3.0), constant_side: np.ones(3)}
    found = score_metrics(**values)
    assert found["srcc"] is found["krcc"] is found["plcc"] is None
    assert found["mae"] == pytest.approx(2 / 3)


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(3)
    scores, labels, order = rng.uniform(size=20), rng.integers(0, 2, 20), rng.permutation(20)
    found, expected = binary_metrics(scores[order], labels[order]), binary_metrics(scores, labels)
    assert found.pop("confusion") == expected.pop("confusion")
    assert found == pytest.approx(expected)
    assert score_metrics(scores[order], labels[order]) == pytest.approx(
        score_metrics(scores, labels)
    )


@pytest.mark.parametrize(
    ("measure", "sentence"),
    [
        (lambda: binary_metrics([0.1, np.nan], [0, 1]), "score in row 1 is nan"),
        (lambda: score_metrics([1.0, np.inf], [0.0, 1.0]), "prediction in row 1 is inf"),
        (lambda: score_metrics([1.0, 2.0], [np.nan, 1.0]), "target in row 0 is nan"),
        (lambda: binary_metrics([0.1, 3.0], [0, 1]), "not logits"),
        (lambda: binary_metrics([0.1, 0.3], [0, 2]), "Row 1 has class 2"),
        (lambda: binary_metrics([0.1, 0.3], [0, 0.5]), "Row 1 has class 0.5"),
        (lambda: binary_metrics([0.1], [0, 1]), "1 predictions cannot be compared with 2 labels"),
        (lambda: score_metrics([0.1], [0, 1]), "1 predictions cannot be compared with 2 labels"),
        (lambda: class_metrics([[0.5, 0.2]], [0], False), "row 0 sum to 0.7000"),
        (lambda: class_metrics([0.5, 0.5], [0], False), "Expected 2 axes"),
        (lambda: decision_metrics([0, 3], [0, 1], 3, True), "Row 1 has class 3"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(measure, sentence, unchecked_types):
    with pytest.raises(ValueError, match=sentence):
        measure()
