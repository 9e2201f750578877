"""What is written about one image: the columns of predictions_<split>.csv and of `predict`."""

from typing import Any

import ml_collections
import numpy as np

from iqa_jax.analysis.kinds.kind import SCORE_KINDS, label_of, written_score
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.confidence import Confidence, confidence_row


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
        "score": written_score_of(config, values),
        "predicted": label_of(values, data.label_kind, data.classes, data.marginal, thresholds),
    }
    if data.label_kind not in SCORE_KINDS:
        row |= {f"p_{name}": float(p) for name, p in zip(data.classes, values, strict=True)}
    tiles = {"tiles": len(answer.tile_values)}
    return row | trust | tiles | {"error": "", "warning": answer.warning}


def written_score_of(config: ml_collections.ConfigDict, values: np.ndarray) -> float:
    data = config.data
    score = written_score(
        values, data.label_kind, data.minimum, data.maximum, data.higher_is_better
    )
    return float(score)
