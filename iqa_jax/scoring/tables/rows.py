"""What is written about one image: the columns of predictions_<split>.csv and of `predict`."""

from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from iqa_jax.analysis.kinds.kind import SCORE_KINDS, label_of, written_score
from iqa_jax.scoring.fitted.confidence import Confidence, confidence_row
from iqa_jax.scoring.scorer import Answered


def prediction_table(
    config: ml_collections.ConfigDict,
    evaluation: Any,
    thresholds: tuple[float, float] | None,
    confidence: Confidence,
) -> pd.DataFrame:
    """Lays an `Evaluation` out as one row per image: truth, answer, every fusion's score."""
    rows = []
    for answer, (_, image) in zip(evaluation.answers, evaluation.images.iterrows(), strict=True):
        row = {"path": image["name"], "label": image["label_text"], "group": image["group"]}
        row |= answer_row(config, answer, thresholds, confidence)
        row |= {
            f"score_{fusion}": _written_score(config, values)
            for fusion, values in answer.values.items()
        }
        rows.append(row)
    return pd.DataFrame(rows)


def answer_row(
    config: ml_collections.ConfigDict,
    answer: Answered,
    thresholds: tuple[float, float] | None,
    confidence: Confidence,
) -> dict[str, Any]:
    """Gives the columns that say what the headline fusion answers for one image."""
    data, trust = config.data, confidence_row(config, answer, confidence)
    if answer.error:
        bad = {"score": None, "predicted": None, **trust, "tiles": 0}
        return bad | {"error": answer.error, "warning": ""}
    values = answer.values[config.evaluation.fusion]
    row: dict[str, Any] = {
        "score": _written_score(config, values),
        "predicted": label_of(values, data.label_kind, data.classes, data.marginal, thresholds),
    }
    if data.label_kind not in SCORE_KINDS:
        row |= {f"p_{name}": float(p) for name, p in zip(data.classes, values, strict=True)}
    tiles = {"tiles": len(answer.tile_values)}
    return row | trust | tiles | {"error": "", "warning": answer.warning}


def _written_score(config: ml_collections.ConfigDict, values: np.ndarray) -> float:
    data = config.data
    score = written_score(
        values, data.label_kind, data.minimum, data.maximum, data.higher_is_better
    )
    return float(score)
