"""What is written about one image: the columns of predictions_<split>.csv and of `predict`."""

from typing import Any

from input_pipeline.tiles.faults import Measured, name_fault
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.confidence import Confidence, ConfidenceSettings, confidence_row


def answer_row(
    settings: ConfidenceSettings,
    answer: Answered,
    thresholds: tuple[float, float] | None,
    confidence: Confidence,
) -> dict[str, Any]:
    """Gives the columns that say what the headline fusion answers for one image."""
    kind, trust = settings.kind, confidence_row(settings, answer, confidence)
    if answer.error:
        bad = {"score": None, "predicted": None, **trust, "tiles": 0}
        return bad | {"error": answer.error, "warning": ""}
    values = answer.values[settings.headline]
    row: dict[str, Any] = {
        "score": float(kind.written_score(values)),
        "predicted": kind.label_of(values, thresholds),
        **kind.probabilities(values),
    }
    tiles = {"tiles": len(answer.tile_values)}
    return row | trust | tiles | {"error": "", "warning": answer.warning}


def measured_row(measured: Measured) -> dict[str, Any]:
    """Gives the columns of what was measured of one image."""
    return {**measured._asdict(), "fault": name_fault(measured)}
