"""Which examples have a label that is hardly theirs, judged by models that never saw them.

A filter looks at out-of-fold probabilities and given labels, and gives a reason for every example
that it drops. Labels outside [0, classes) have no place here.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from input_pipeline.extras import extra

Probabilities = Float[np.ndarray, "example k"]
Labels = Int[np.ndarray, " example"]
# (probabilities, labels, *, classes, band, keep_share) -> [example] the reason; "" keeps it.
Filter = Callable[..., list[str]]


def confidence_of(probabilities: Probabilities, labels: Labels) -> Float[np.ndarray, " example"]:
    """Gives the probability of each example's own label."""
    return probabilities[np.arange(len(labels)), labels]


def outside_band(
    probabilities: Probabilities, labels: Labels, *, band: tuple[float, float], **_
) -> list[str]:
    """Drops examples whose own label is too improbable, or too probable to teach anything.

    Args:
        probabilities: out of fold.
        labels: class indices.
        band: lowest and highest confidence that is kept.
    """
    low, high = band
    reasons = {-1: f"confidence below {low:g}", 0: "", 1: f"confidence above {high:g}"}
    confidence = confidence_of(probabilities, labels)
    sides = (confidence > high).astype(int) - (confidence < low)
    return [reasons[side] for side in sides.tolist()]


def confident_learning(
    probabilities: Probabilities, labels: Labels, *, classes: Sequence[str], **_
) -> list[str]:
    """Drops examples that are confidently of another class than their label.

    A class has a threshold of its own: the mean probability of it over the examples that have it
    as label. So a class that the models are shy of, or too sure of, needs no threshold by hand.

    Args:
        probabilities: out of fold.
        labels: class indices; every class occurs.
        classes: their names.

    Source:
        Northcutt, Jiang, Chuang 2021, "Confident Learning", eq. 1 and 2, as cleanlab computes it.
    """
    # Imports for seconds: only this filter needs it.
    with extra("train"):
        from cleanlab.count import get_confident_thresholds
        from cleanlab.filter import find_label_issues

    is_issue = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    thresholds = get_confident_thresholds(labels, probabilities)
    # The class that it is counted as: the most probable of those that reach their threshold.
    margin = np.where(probabilities >= thresholds - 1e-6, probabilities, -1)
    return [
        f"{classes[other]} with {row[other]:.2f}, at or above its mean of {thresholds[other]:.2f}"
        if is_dropped
        else ""
        for is_dropped, other, row in zip(
            is_issue.tolist(), margin.argmax(axis=1).tolist(), probabilities, strict=True
        )
    ]


def small_loss(
    probabilities: Probabilities,
    labels: Labels,
    *,
    classes: Sequence[str],
    keep_share: float,
    **_,
) -> list[str]:
    """Keeps, of every class, the share of examples with the smallest loss.

    Of each class alone, or the harder one would pay for all.

    Args:
        probabilities: out of fold; the loss is minus the logarithm of the own label's.
        labels: class indices.
        classes: their names.
        keep_share: in (0, 1]; at least one example of a class stays.

    Source:
        Han et al. 2018 (Co-teaching), the small-loss criterion.
    """
    confidence, reasons = confidence_of(probabilities, labels), [""] * len(labels)
    for number, name in enumerate(classes):
        own = np.flatnonzero(labels == number)
        order = own[np.argsort(-confidence[own], kind="stable")]
        kept = max(round(keep_share * len(own)), 1)
        for example in order[kept:].tolist():
            reasons[example] = f"one of the {1 - keep_share:.0%} of {name} with the largest loss"
    return reasons


FILTERS: dict[str, Filter] = {
    "confident_learning": confident_learning,
    "band": outside_band,
    "small_loss": small_loss,
}
