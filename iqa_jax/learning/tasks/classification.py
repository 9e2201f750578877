"""Naming a class, whether the classes have an order or not."""

from collections.abc import Callable

import jax
from jaxtyping import Array

from iqa_jax.learning.losses import (
    cross_entropy,
    generalised_cross_entropy,
    symmetric_cross_entropy,
)
from iqa_jax.learning.tasks.task import Task


def classification(*, classes: int, label_smoothing: float, **_) -> Task:
    """Makes the task of naming one of some classes."""
    return _naming(classes, lambda logits, label: cross_entropy(logits, label, label_smoothing))


def symmetric_classification(*, classes: int, sce_alpha: float, sce_beta: float, **_) -> Task:
    """Makes the same task for labels of which some are wrong, by symmetric cross-entropy."""
    return _naming(
        classes,
        lambda logits, label: symmetric_cross_entropy(logits, label, sce_alpha, sce_beta),
    )


def generalised_classification(*, classes: int, gce_q: float, **_) -> Task:
    """Makes the same task for labels of which some are wrong, by generalised cross-entropy."""
    return _naming(classes, lambda logits, label: generalised_cross_entropy(logits, label, gce_q))


def _naming(classes: int, loss: Callable[[Array, Array], Array]) -> Task:
    return Task(outputs=classes, loss=loss, predict=jax.nn.softmax)


# Name of a loss -> builder, for every label kind that has classes.
CLASSIFICATIONS: dict[str, Callable[..., Task]] = {
    "cross_entropy": classification,
    "symmetric_cross_entropy": symmetric_classification,
    "generalised_cross_entropy": generalised_classification,
}
