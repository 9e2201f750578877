"""From the values of an answer to what people read: one score and one label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Num

from iqa_jax.analysis.kinds.pairwise import pairs_by_figure
from iqa_jax.analysis.late_fusion import most_probable, three_class
from iqa_jax.analysis.metrics import binary_metrics, class_metrics, score_metrics
from iqa_jax.analysis.pair_metrics import pair_accuracy
from iqa_jax.analysis.weighted_metrics import (
    Measure,
    binary_measures,
    class_measures,
    score_measures,
)

# Label kinds that are answered by one score; the others by a probability per class.
SCORE_KINDS = ("numeric", "ranking", "pairs")


def score_of(values: Float[np.ndarray, "*image values"], kind: str) -> Float[np.ndarray, "*image"]:
    """Gives one number per image, higher is better wherever the labels have an order.

    Args:
      values: probabilities per class, lowest quality first, or one score.
      kind: label kind.

    Returns:
      binary: P(good). ordered: the expected grade, from 0 (all on the worst class) to 1. numeric:
      the score, within its scale. ranking, pairs: the score, which has no ends.
      unordered: the probability of the most probable class.
    """
    if kind in SCORE_KINDS:
        return values[..., 0]
    if kind == "unordered":
        return values.max(axis=-1)
    return values @ np.linspace(0, 1, values.shape[-1])


def written_score(
    values: Float[np.ndarray, "*image values"],
    kind: str,
    minimum: float,
    maximum: float,
    higher_is_better: bool,
) -> Float[np.ndarray, "*image"]:
    """Gives the score as tables of answers have it: in the direction of the label column.

    The one place where a score leaves "higher is better": a label column in which lower is better
    (such as DMOS) was mirrored on reading, and its score is mirrored back here.

    Args:
      values, kind: as in `score_of`.
      minimum, maximum: numeric only: the label's scale.
      higher_is_better: numeric only: the label's direction.
    """
    score = score_of(values, kind)
    return score if kind != "numeric" or higher_is_better else minimum + maximum - score


def written_interval(
    lower: float, upper: float, minimum: float, maximum: float, higher_is_better: bool
) -> tuple[float, float]:
    """Gives the ends of a numeric score's interval as `written_score` gives the score."""
    if higher_is_better:
        return lower, upper
    return minimum + maximum - upper, minimum + maximum - lower


def label_of(
    values: Float[np.ndarray, " values"],
    kind: str,
    classes: Sequence[str],
    marginal: str = "",
    thresholds: tuple[float, float] | None = None,
) -> str:
    """Names the class of one image; empty where answers are scores.

    Args:
      values: as in `score_of`.
      kind: label kind.
      classes: lowest quality first.
      marginal: name of the third, middle class of binary labels.
      thresholds: where on P(good) it begins and ends; None for the two-class answer.
    """
    if kind in SCORE_KINDS:
        return ""
    if thresholds is not None:
        names = (classes[0], marginal, classes[1])
        return names[int(three_class(score_of(values, kind)[None], *thresholds)[0])]
    return classes[int(most_probable(values))]


def compute_metrics(
    kind: str,
    values: np.ndarray,
    labels: np.ndarray,
    std: np.ndarray | None = None,
    pairs: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Computes the metrics of a label kind over images; marginal ones have no binary label."""
    if pairs is not None:
        scores = score_of(values, kind)
        return {"n": len(scores), "pairs": len(pairs)} | {
            name: pair_accuracy(scores, ends) for name, ends in pairs_by_figure(kind, pairs).items()
        }
    if kind == "numeric":
        return score_metrics(score_of(values, kind), labels, std)
    values, labels = values[labels >= 0], labels[labels >= 0]
    if kind == "binary":
        return binary_metrics(score_of(values, kind), labels)
    return class_metrics(values, labels, kind == "ordered")


def measures_for(
    kind: str,
    values: Float[np.ndarray, "row values"],
    labels: Num[np.ndarray, " row"],
    *,
    mapped: Float[np.ndarray, " row"] | None = None,
    std: Float[np.ndarray, " row"] | None = None,
) -> dict[str, Measure]:
    """Gives the measures of a label kind, by the names that the plain metrics have.

    Args:
        kind: label kind.
        values: probabilities per class, lowest quality first, or one score.
        labels: class indices, -1 for rows without (they count in no figure), or scores.
        mapped: numeric only: predictions after a map that was fitted on other rows.
        std: numeric only: standard deviation of the opinions of each row.
    """
    if kind == "numeric":
        return score_measures(score_of(values, kind), labels, mapped=mapped, std=std)
    is_labelled = labels >= 0
    values, labels = values[is_labelled], labels[is_labelled]
    if kind == "binary":
        measures = binary_measures(score_of(values, kind), labels)
    else:
        measures = class_measures(values, labels, kind == "ordered")
    if is_labelled.all():
        return measures

    def among_labelled(measure: Measure) -> Measure:
        return lambda weights: measure(weights[is_labelled])

    return {name: among_labelled(measure) for name, measure in measures.items()}
