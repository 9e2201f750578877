"""Figures are of the images that are answered, and pairs of those whose both images are."""

import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.analysis.linear_probe import fit_probe
from iqa_jax.evaluation.evaluation import (
    calibrate_evaluation,
    decided_pairs,
    grades_of,
    measure_answers,
    probe_figures,
)
from iqa_jax.scoring.answered import Answered

KIND = KINDS["binary"](classes=("bad", "good"), marginal="marginal")
GOOD = np.array([0.9, 0.2, 0.7, 0.4])
LABELS = [1, 0, 0, -1]


@pytest.fixture
def evaluation():
    """Four images, and one between them that cannot be read."""
    answers = [
        Answered(number, {"mean_score": np.array([1 - p, p]), "vote": np.array([0.0, 1.0])},
                 np.zeros((2, 2)), np.ones(2), None, embedding=np.eye(4)[number])
        for number, p in enumerate(GOOD)
    ]  # fmt: skip
    nothing = np.zeros((0, 2))
    answers.insert(2, Answered(9, {}, nothing, nothing[:, 0], None, "cut short"))
    labels = [*LABELS[:2], 1, *LABELS[2:]]
    images = pd.DataFrame({"label": labels, "std": np.arange(5.0)}, index=[10, 11, 12, 13, 14])
    return measure_answers(
        answers, images, None, kind=KIND, headline="mean_score", std_column="std"
    )


def test_an_image_without_an_answer_is_counted_and_measured_nowhere(evaluation):
    metrics = evaluation.metrics
    assert (metrics["rows"], metrics["errors"], metrics["tiles"]) == (5, 1, 8)
    # Of the three with a class, good is above both bad ones; two answers of three are right.
    assert (metrics["n"], metrics["auroc"]) == (3, 1)
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["fusions"]["vote"]["auroc"] == 0.5
    assert metrics["fusions"]["mean_score"]["auroc"] == metrics["auroc"]
    assert evaluation.labels.tolist() == LABELS and evaluation.stds.tolist() == [0, 1, 3, 4]
    np.testing.assert_array_equal(evaluation.values("mean_score")[:, 1], GOOD)
    assert grades_of(evaluation).tolist() == [2, 0, 0, 1]


def test_calibrated_answers_have_their_own_figures(evaluation):
    assert calibrate_evaluation(evaluation, {}) is evaluation
    towards_bad = CalibrationMap(1.0, (5.0, -5.0), 0.9, False, 9)
    found = calibrate_evaluation(evaluation, {"mean_score": towards_bad})
    assert found.metrics["auroc"] == 1  # No map changes an order.
    assert found.metrics["log_loss"] > evaluation.metrics["log_loss"]
    assert found.metrics["fusions"]["vote"] == evaluation.metrics["fusions"]["vote"]
    assert found.answers[2].error == "cut short" and found.stds.tolist() == [0, 1, 3, 4]


def test_neighbours_of_embeddings_have_figures_where_a_probe_was_fitted(evaluation):
    assert probe_figures(evaluation, "mean_score", None) == {}
    probe = fit_probe(np.eye(4)[[0, 0, 1, 2]], np.array([1, 1, 0, 0]), 2, is_balanced=False)
    found = probe_figures(evaluation, "mean_score", probe)
    assert {name.split("_", 1)[0] for name in found} == {"linear", "knn"}
    assert found["linear_probe_auroc"] == evaluation.metrics["auroc"]
    assert found.keys() == {
        f"{name}_{figure}" for name in ("linear_probe", "knn") for figure in KIND.metrics
    }


def test_pairs_are_named_by_the_places_of_answered_images():
    pairs = pd.DataFrame({
        "first": [10, 12, 14, 10, 13], "second": [12, 10, 10, 11, 14],
        "preference": [1.0, 0.0, 0.5, 1.0, 0.0], "kind": list("abcde"), "figure": "f",
    })  # fmt: skip
    found = decided_pairs(pairs, pd.Index([10, 12, 13, 14]))
    # The third is a tie, and of the fourth an image is not answered.
    assert found["kind"].tolist() == ["a", "b", "e"]
    assert found[["better", "worse"]].to_numpy().tolist() == [[0, 1], [0, 1], [3, 2]]
