"""The table of a split has one row per image, in its order: truth, answer, every fusion's score."""

import numpy as np
import pandas as pd

from iqa_jax.evaluation.evaluation import measure_answers
from iqa_jax.evaluation.prediction_table import prediction_table
from iqa_jax.run.config import kind_from_config
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.confidence import Confidence, confidence_settings_from_config


def test_truth_answer_and_scores_stand_side_by_side(tiny_config):
    tiny_config.evaluation.fusion = "mean_score"
    settings, kind = confidence_settings_from_config(tiny_config), kind_from_config(tiny_config)
    answers = [
        Answered(number, {"mean_score": np.array([1 - p, p]), "vote": np.array([1.0, 0.0])},
                 np.zeros((tiles, 2)), np.ones(tiles), None)
        for number, (p, tiles) in enumerate([(0.75, 4), (0.5, 2)])
    ]  # fmt: skip
    answers.insert(1, Answered(5, {}, np.zeros((0, 2)), np.zeros(0), None, "cut short"))
    images = pd.DataFrame({
        "name": ["a.png", "b.png", "c.png"], "label": [1, 0, -1],
        "label_text": ["good", "bad", "marginal"], "group": ["x", "x", "y"],
    })  # fmt: skip
    evaluation = measure_answers(answers, images, None, kind=kind, headline="mean_score")
    table = prediction_table(evaluation, settings, (0.4, 0.6), Confidence())
    assert table["path"].tolist() == ["a.png", "b.png", "c.png"]
    assert table["label"].tolist() == ["good", "bad", "marginal"]
    assert table["group"].tolist() == ["x", "x", "y"]
    assert table["predicted"].dropna().to_dict() == {0: "good", 2: "marginal"}
    assert table["error"].tolist() == ["", "cut short", ""]
    assert table["tiles"].tolist() == [4, 0, 2]
    for column, expected in {"score": [0.75, None, 0.5], "score_mean_score": [0.75, None, 0.5],
                             "score_vote": [0, None, 0]}.items():  # fmt: skip
        np.testing.assert_array_equal(table[column].to_numpy(float), np.array(expected, float))
