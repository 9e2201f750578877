"""What is written about one image: the columns of predictions_<split>.csv and of `predict`."""

from typing import Any

import ml_collections
import numpy as np

from iqa_jax.run.config import kind_from_config
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.confidence import Confidence, confidence_row


def answer_row(
    config: ml_collections.ConfigDict,
    answer: Answered,
    thresholds: tuple[float, float] | None,
    confidence: Confidence,
) -> dict[str, Any]:
    """Gives the columns that say what the headline fusion answers for one image."""
    kind, trust = kind_from_config(config), confidence_row(config, answer, confidence)
    if answer.error:
        bad = {"score": None, "predicted": None, **trust, "tiles": 0}
        return bad | {"error": answer.error, "warning": ""}
    values = answer.values[config.evaluation.fusion]
    row: dict[str, Any] = {
        "score": written_score_of(config, values),
        "predicted": kind.label_of(values, thresholds),
        **kind.probabilities(values),
    }
    tiles = {"tiles": len(answer.tile_values)}
    return row | trust | tiles | {"error": "", "warning": answer.warning}


def written_score_of(config: ml_collections.ConfigDict, values: np.ndarray) -> float:
    return float(kind_from_config(config).written_score(values))
