"""Telling which of two images is better: a score learnt from pairs alone."""

from functools import partial

import jax.numpy as jnp

from iqa_jax.learning.pair_losses import PairCost, hinge, logistic, pair_loss, probit
from iqa_jax.learning.tasks.task import Labels, Loss, Task


def _comparison(cost: PairCost, labels: Labels, *, margin: float) -> Task:
    """Makes the task of giving a score by one output, which -1 to 1 spread as opinion scores are.

    Pairs say nothing of a scale: scores may leave [minimum, maximum]. `margin` is a share of it; of
    RankIQA's scores from 0 to 100 it is the tenth that they chose.
    """
    minimum, maximum = labels.minimum, labels.maximum
    middle, half = (minimum + maximum) / 2, (maximum - minimum) / 2
    return Task(
        outputs=1,
        loss=lambda logits, label: jnp.zeros(len(logits)),
        predict=lambda logits: middle + half * logits,
        batch_loss=lambda logits, batch: pair_loss(
            logits[:, 0], batch["label"], batch["weight"], cost, 2 * margin
        ),
    )


COMPARISONS = {
    "hinge": Loss(partial(_comparison, hinge), "comparison"),
    "logistic": Loss(partial(_comparison, logistic), "comparison"),
    "probit": Loss(partial(_comparison, probit), "comparison"),
}
