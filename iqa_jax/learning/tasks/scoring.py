"""Giving an opinion score: the score itself, or the distribution of ratings behind it."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from iqa_jax.learning.losses import correlation_loss, earth_movers_distance, huber, l1, l2
from iqa_jax.learning.tasks.task import Labels, Loss, Task

# The share of the scale, at either end, in which scores are squeezed together.
_KNEE = 0.05


def keep_on_scale(
    score: Float[Array | np.ndarray, "*batch"], minimum: float, maximum: float
) -> Float[Array, "*batch"]:
    """Brings scores into [minimum, maximum] without a change of their order.

    Within the scale but its outer twentieths a score stays what it is, to the last bit. Beyond such
    a knee by u it becomes knee ± d · u / (d + u), with d the distance from the knee to the end: its
    slope begins at 1 and falls no faster than 1 / u², so that float32 still tells outliers apart
    that a logistic would round onto the end.

    Args:
        score: any number.
        minimum, maximum: of the label's scale.
    """
    width = _KNEE * (maximum - minimum)
    low, high = minimum + width, maximum - width
    over, under = jnp.maximum(score - high, 0), jnp.maximum(low - score, 0)
    # The quotient first: a product of large numbers would overflow.
    squeezed = width * (over / (width + over)) - width * (under / (width + under))
    # Rounding may lead beyond the ends by a last bit.
    return jnp.clip(jnp.clip(score, low, high) + squeezed, minimum, maximum)


def _regression(
    error: Callable[[Array, Array], Array], labels: Labels, *, plcc_weight: float
) -> Task:
    """Makes the task of giving a score on [minimum, maximum] from one output on [-1, 1].

    The loss is of the output itself, which may lie beyond; the answer is kept on the scale.
    """
    minimum, maximum = labels.minimum, labels.maximum
    middle, half = (minimum + maximum) / 2, (maximum - minimum) / 2

    def target(label):
        return (label[:, None] - middle) / half

    def batch_loss(logits, batch):
        scores, wanted, weight = logits[:, 0], target(batch["label"])[:, 0], batch["weight"]
        if labels.sets == 1:
            return plcc_weight * correlation_loss(scores, wanted, weight)
        weights = [jnp.where(batch["set_id"] == one, weight, 0) for one in range(labels.sets)]
        losses = [weight.sum() * correlation_loss(scores, wanted, weight) for weight in weights]
        return plcc_weight * sum(losses) / jnp.maximum(weight.sum(), 1e-12)

    return Task(
        outputs=1,
        loss=lambda logits, label: error(logits[:, 0], target(label)[:, 0]),
        predict=lambda logits: keep_on_scale(middle + half * logits, minimum, maximum),
        batch_loss=batch_loss if plcc_weight else None,
        target=target,
    )


REGRESSIONS = {
    "huber": Loss(partial(_regression, huber), "regression"),
    "l1": Loss(partial(_regression, l1), "regression"),
    "l2": Loss(partial(_regression, l2), "regression"),
}


def emd_scoring(labels: Labels, *, bins: int) -> Task:
    """Makes the task of giving the distribution of ratings; the answer is its mean.

    The label is the distribution [batch, scores] over scores from minimum to maximum: over those
    whose ratings are counted, else over so many bins.
    """
    minimum, maximum, bins = labels.minimum, labels.maximum, labels.ratings or bins
    scores = jnp.linspace(minimum, maximum, bins)
    return Task(
        outputs=bins,
        loss=earth_movers_distance,
        # A mean of scores on the scale leaves it by rounding alone.
        predict=lambda logits: jnp.clip(
            (jax.nn.softmax(logits) * scores).sum(-1, keepdims=True), minimum, maximum
        ),
    )
