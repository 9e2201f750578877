"""The table of predictions of a split."""

import pandas as pd

from iqa_jax.evaluation.evaluation import Evaluation
from iqa_jax.scoring.fitted.confidence import Confidence, ConfidenceSettings
from iqa_jax.scoring.tables.rows import answer_row


def prediction_table(
    evaluation: Evaluation,
    settings: ConfidenceSettings,
    thresholds: tuple[float, float] | None,
    confidence: Confidence,
) -> pd.DataFrame:
    """Lays an evaluation out as one row per image: truth, answer, every fusion's score."""
    rows = []
    for answer, (_, image) in zip(evaluation.answers, evaluation.images.iterrows(), strict=True):
        row = {"path": image["name"], "label": image["label_text"], "group": image["group"]}
        row |= answer_row(settings, answer, thresholds, confidence)
        row |= {
            f"score_{fusion}": float(evaluation.kind.written_score(values))
            for fusion, values in answer.values.items()
        }
        rows.append(row)
    return pd.DataFrame(rows)
