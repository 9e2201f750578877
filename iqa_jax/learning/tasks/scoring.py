"""Giving an opinion score: the score itself, or the distribution of ratings behind it."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from iqa_jax.learning.losses import correlation_loss, earth_movers_distance, huber, l1, l2
from iqa_jax.learning.tasks.task import Task


def _regression(
    error: Callable[[Array, Array], Array],
    *,
    minimum: float,
    maximum: float,
    plcc_weight: float,
    **_,
) -> Task:
    """Makes the task of giving a score on [minimum, maximum] from one output on [-1, 1]."""
    middle, half = (minimum + maximum) / 2, (maximum - minimum) / 2

    def target(label):
        return (label[:, None] - middle) / half

    def batch_loss(logits, label, weight):
        return plcc_weight * correlation_loss(logits[:, 0], target(label)[:, 0], weight)

    return Task(
        outputs=1,
        loss=lambda logits, label: error(logits[:, 0], target(label)[:, 0]),
        predict=lambda logits: middle + half * logits,
        batch_loss=batch_loss if plcc_weight else None,
        target=target,
    )


REGRESSIONS: dict[str, Callable[..., Task]] = {
    "huber": partial(_regression, huber),
    "l1": partial(_regression, l1),
    "l2": partial(_regression, l2),
}


def emd_scoring(*, minimum: float, maximum: float, bins: int, **_) -> Task:
    """Makes the task of giving the distribution of ratings; the answer is its mean.

    The label is the distribution [batch, bins] over `bins` scores from minimum to maximum.
    """
    scores = jnp.linspace(minimum, maximum, bins)
    return Task(
        outputs=bins,
        loss=earth_movers_distance,
        predict=lambda logits: (jax.nn.softmax(logits) * scores).sum(-1, keepdims=True),
    )
