"""What probabilities of classes come to."""

import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis.kinds import KINDS

BINARY = KINDS["binary"](column="label", classes=("bad", "good"), marginal="so-so")
ORDERED = KINDS["ordered"](classes=("bad", "fair", "good"))
UNORDERED = KINDS["unordered"](classes=("noise", "blur", "clean"))
THREE = np.array([[0.5, 0.25, 0.25], [0.0, 0.25, 0.75], [0.25, 0.5, 0.25]])


def test_scores_are_good_the_expected_grade_or_the_most_probable():
    assert BINARY.score_of(np.array([[0.75, 0.25]])).tolist() == [0.25]
    assert ORDERED.score_of(THREE).tolist() == [0.375, 0.875, 0.5]
    assert UNORDERED.score_of(THREE).tolist() == [0.5, 0.75, 0.5]
    assert [kind.has_order for kind in (BINARY, ORDERED, UNORDERED)] == [True, True, False]
    assert BINARY.score_range == ORDERED.score_range == (0, 1)


def test_thresholds_make_the_third_class():
    for good, name in ((0.2, "bad"), (0.4, "so-so"), (0.7, "good")):
        assert BINARY.label_of(np.array([1 - good, good]), (0.3, 0.6)) == name
    assert BINARY.label_of(np.array([0.6, 0.4])) == "bad"
    assert ORDERED.label_of(THREE[1]) == "good"
    assert BINARY.label_names == ("bad", "so-so", "good")
    assert KINDS["binary"](classes=("bad", "good")).label_names == ("bad", "good")


def test_marginal_images_count_in_no_figure():
    values = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.5, 0.5]])
    labels = np.array([0, 0, 1, -1])
    found = BINARY.figures(values, labels)
    assert (found["n"], found["auroc"], found["accuracy"]) == (3, 1.0, pytest.approx(2 / 3))
    weights = np.array([[1.0, 1, 1, 7], [2, 0, 1, 1]]).T
    measures = BINARY.measures(values, labels)
    assert measures["accuracy"](weights) == pytest.approx([2 / 3, 1])
    assert tuple(measures) == BINARY.metrics


def test_only_grades_know_how_far_off_a_grade_is():
    labels = np.array([0, 0, 2])
    assert ORDERED.figures(THREE, labels)["grade_mae"] == pytest.approx((0 + 2 + 1) / 3)
    assert "grade_mae" not in UNORDERED.figures(THREE, labels)


def test_mistakes_are_images_called_another_class():
    labels = np.array([2, 2, 1])
    assert UNORDERED.mistakes(THREE, labels).tolist() == [0.75, 0, 0]
    assert ORDERED.mistakes(THREE, labels).tolist() == [1 - 0.375, 0, 0]
    # One that is neither has no mistake, and no doubtful label.
    values, labels = np.array([[0.99, 0.01], [0.99, 0.01]]), np.array([1, -1])
    assert BINARY.mistakes(values, labels).tolist() == [0.99, 0]
    doubts = BINARY.doubts(values, labels)
    assert doubts.places.tolist() == [0] and doubts.evidence[0] == 0.01
    assert "5 %" in BINARY.doubtful


def test_class_sets_abstain_where_they_hold_none_or_several():
    scores = ORDERED.conformal_scores(THREE, np.array([0, 2, 0]), np.ones(3))
    assert scores.tolist() == [0.5, 0.25, 0.75]
    assert ORDERED.promise(THREE[1], 0.25, 1.0) == {"abstain": False}
    assert ORDERED.promise(THREE[1], 0.75, 1.0) == {"abstain": True}
    assert ORDERED.promise(THREE[0], 0.1, 1.0) == {"abstain": True}
    held = ORDERED.holds_label(THREE, np.array([0, 2, 0]), 0.5, np.ones(3))
    assert held.tolist() == [True, True, False]
    rows = [{"abstain": True}, {"abstain": None}]
    assert ORDERED.promise_figures(rows) == {"abstained": [True]}


def test_uncertainty_is_the_entropy_and_passes_may_disagree():
    passes = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert BINARY.uncertainty(np.array([1.0, 0.0]), None, passes) == 0
    assert BINARY.uncertainty(np.array([1.0, 0.0]), passes, None) == pytest.approx(np.log(2))
    assert BINARY.disagreement(passes) == pytest.approx(np.log(2))
    assert BINARY.disagreement(None) is None


def test_a_table_of_predictions_is_read_back():
    table = pd.DataFrame(
        {"label": ["good", "so-so"], "p_bad": ["0.25", "0.5"], "p_good": ["0.75", "0.5"]}
    )
    values, labels = BINARY.read_table(table)
    assert values.tolist() == [[0.25, 0.75], [0.5, 0.5]] and labels.tolist() == [1, -1]
    assert BINARY.probabilities(values[0]) == {"p_bad": 0.25, "p_good": 0.75}
    texts = np.array(["good", "so-so", "good"])
    assert BINARY.count_labels(np.array([1, -1, 1]), texts) == {"bad": 0, "so-so": 1, "good": 2}


def test_a_model_card_says_what_it_is_for():
    assert "answers so-so" in BINARY.purpose and "probability of good" in BINARY.purpose
    assert "thresholds" not in KINDS["binary"](classes=("bad", "good")).purpose
    assert "lowest quality first: bad, fair, good." in ORDERED.purpose
    assert UNORDERED.purpose == "Puts a photograph into one of the classes noise, blur, clean."
