"""Naming a class, whether the classes have an order or not."""

import jax

from iqa_jax.learning.losses import cross_entropy
from iqa_jax.learning.tasks.task import Task


def classification(*, classes: int, label_smoothing: float, **_) -> Task:
    """Makes the task of naming one of some classes."""
    return Task(
        outputs=classes,
        loss=lambda logits, label: cross_entropy(logits, label, label_smoothing),
        predict=jax.nn.softmax,
    )
