"""Naming a class, whether the classes have an order or not."""

from collections.abc import Callable

import jax
from jaxtyping import Array

from iqa_jax.learning.losses import (
    cross_entropy,
    generalised_cross_entropy,
    symmetric_cross_entropy,
)
from iqa_jax.learning.tasks.task import Labels, Loss, Task


def classification(labels: Labels, *, label_smoothing: float) -> Task:
    """Makes the task of naming one of some classes."""
    return _naming(labels, lambda logits, label: cross_entropy(logits, label, label_smoothing))


def symmetric_classification(labels: Labels, *, alpha: float, beta: float) -> Task:
    """Makes the same task for labels of which some are wrong, by symmetric cross-entropy."""
    return _naming(
        labels, lambda logits, label: symmetric_cross_entropy(logits, label, alpha, beta)
    )


def generalised_classification(labels: Labels, *, q: float) -> Task:
    """Makes the same task for labels of which some are wrong, by generalised cross-entropy."""
    return _naming(labels, lambda logits, label: generalised_cross_entropy(logits, label, q))


def _naming(labels: Labels, loss: Callable[[Array, Array], Array]) -> Task:
    return Task(outputs=labels.classes, loss=loss, predict=jax.nn.softmax)


# By name, for every label kind that has classes.
CLASSIFICATIONS = {
    "cross_entropy": Loss(classification, "cross_entropy"),
    "symmetric_cross_entropy": Loss(symmetric_classification, "sce"),
    "generalised_cross_entropy": Loss(generalised_classification, "gce"),
}
