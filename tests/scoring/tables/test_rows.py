"""What is written about one image: its answer in the direction of the labels, or its error."""

import numpy as np
import pytest

from iqa_jax.run.config import kind_from_config
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.confidence import Confidence, confidence_settings_from_config
from iqa_jax.scoring.tables.rows import answer_row


@pytest.fixture
def settings(tiny_config):
    tiny_config.evaluation.fusion = "mean_score"
    return confidence_settings_from_config(tiny_config)


def answer(values, **about):
    values = np.array(values)
    return Answered(0, {"mean_score": values}, np.stack([values] * 3), np.ones(3), None, **about)


def test_a_class_has_its_probabilities_and_the_thresholds_their_say(settings):
    row = answer_row(settings, answer([0.45, 0.55], warning="odd"), None, Confidence())
    assert (row["score"], row["predicted"]) == (0.55, "good")
    assert (row["p_bad"], row["p_good"], row["tiles"]) == (0.45, 0.55, 3)
    assert (row["error"], row["warning"]) == ("", "odd")
    between = answer_row(settings, answer([0.45, 0.55]), (0.4, 0.6), Confidence())
    assert between["predicted"] == "marginal" and between["score"] == 0.55


def test_a_score_is_in_the_direction_of_its_labels(tiny_config):
    tiny_config.data.label_kind, tiny_config.data.higher_is_better = "numeric", False
    assert kind_from_config(tiny_config).maximum == 100
    settings = confidence_settings_from_config(tiny_config)
    row = answer_row(settings, answer([30.0]), None, Confidence())
    assert row["score"] == 70 and row["predicted"] == "" and "p_bad" not in row


def test_an_error_has_no_answer_and_the_same_columns(settings):
    good = answer_row(settings, answer([0.45, 0.55]), None, Confidence())
    bad = Answered(0, {}, np.zeros((0, 2)), np.zeros(0), None, "cut short")
    row = answer_row(settings, bad, None, Confidence())
    assert row["error"] == "cut short" and row["score"] is None and row["tiles"] == 0
    assert set(row) == set(good) - {"p_bad", "p_good"}
