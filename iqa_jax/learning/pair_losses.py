"""Losses of pairs: which of two should have the higher score. Functions of whole batches."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# How much better the better one is, in units of the margin -> the cost.
PairCost = Callable[[Array], Array]


def hinge(difference: Float[Array, "*pair"]) -> Float[Array, "*pair"]:
    """Costs what is lacking to a margin of 1.

    Source:
        Liu, van de Weijer, Bagdanov 2017 (RankIQA), eq. 4.
    """
    return jax.nn.relu(1 - difference)


def logistic(difference: Float[Array, "*pair"]) -> Float[Array, "*pair"]:
    """Gives -log P(better) if P is the logistic function of the difference.

    Source:
        Bradley, Terry 1952.
    """
    return jax.nn.softplus(-difference)


def probit(difference: Float[Array, "*pair"]) -> Float[Array, "*pair"]:
    """Gives -log P(better) if P is the normal distribution function of the difference.

    Source:
        Thurstone 1927, case V; the margin is the standard deviation of a difference.
    """
    return -jax.scipy.special.log_ndtr(difference)


def pair_loss(
    scores: Float[Array, " batch"],
    label: Int[Array, "batch 2"],
    weight: Float[Array, " batch"],
    cost: PairCost,
    margin: float,
) -> Float[Array, ""]:
    """Sums margin · cost over all pairs of one group, divided by the number of examples.

    One pass over the batch gives all its pairs, where a network of two branches would take two
    per pair. A tie counts as half a preference each way. With the hinge, each pair whose better
    one leads by less than the margin has the gradient -1/B on its score and 1/B on the other's.

    Args:
        scores: higher is better.
        label: group, and grade in it; higher grades are better and equal ones a tie. Examples of
            different groups are not compared.
        weight: examples with 0 are not looked at; others weigh alike.
        cost: of a difference in margins.
        margin: difference of scores that counts as one.

    Source:
        Liu, van de Weijer, Bagdanov 2017, section 3.3.
    """
    group, grade = label[:, 0], label[:, 1]
    is_real = weight > 0
    scores = jnp.where(is_real, scores, 0)
    is_pair = (group[:, None] == group) & is_real[:, None] & is_real
    is_pair &= ~jnp.eye(len(scores), dtype=bool)
    preference = (1 + jnp.sign(grade[:, None] - grade)) / 2
    costs = margin * cost((scores[:, None] - scores) / margin)
    total = jnp.where(is_pair, preference * costs, 0).sum()
    return total / jnp.maximum(is_real.sum(dtype=jnp.float32), 1)
