"""Losses: pure functions of the network's outputs and the labels, one value per example."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


def cross_entropy(
    logits: Float[Array, "batch classes"], label: Int[Array, " batch"], label_smoothing: float
) -> Float[Array, " batch"]:
    """Gives the cross-entropy to the smoothed one-hot label.

    Args:
        logits: any float.
        label: class index; anything outside [0, classes) counts as class 0 and must be masked.
        label_smoothing: part of the target that is spread evenly, in [0, 1).

    Source:
        Szegedy et al. 2016, section 7.
    """
    classes = logits.shape[-1]
    target = optax.smooth_labels(jax.nn.one_hot(jnp.maximum(label, 0), classes), label_smoothing)
    return optax.losses.softmax_cross_entropy(logits, target)


def symmetric_cross_entropy(
    logits: Float[Array, "batch classes"], label: Int[Array, " batch"], alpha: float, beta: float
) -> Float[Array, " batch"]:
    """Gives α · cross-entropy + β · reverse cross-entropy, which wrong labels pull less.

    In the reverse term the label is the one whose logarithm is taken: log 1 = 0 for the class that
    is named, log 0 := A = -4 for the others. So it is 4 · (1 - P(label)), however sure the network
    is that the label is wrong.

    Args:
        logits: as in `cross_entropy`.
        label: as there.
        alpha: 0 or more.
        beta: 0 or more.

    Source:
        Wang et al. 2019 (SCE), eq. 6 to 8, A as in section 4.
    """
    log_zero = -4.0
    log_likelihood = -cross_entropy(logits, label, 0.0)
    return -alpha * log_likelihood + beta * log_zero * jnp.expm1(log_likelihood)


def generalised_cross_entropy(
    logits: Float[Array, "batch classes"], label: Int[Array, " batch"], q: float
) -> Float[Array, " batch"]:
    """Gives (1 - P(label)^q) / q: cross-entropy as q goes to 0, 1 - P(label) at 1.

    The latter is half the absolute error of the probabilities. The larger q, the less an example
    pulls whose label the network finds improbable.

    Args:
        logits: as in `cross_entropy`.
        label: as there.
        q: in (0, 1].

    Source:
        Zhang and Sabuncu 2018, eq. 6.
    """
    return -jnp.expm1(-q * cross_entropy(logits, label, 0.0)) / q


def coral(
    logits: Float[Array, "batch steps"], label: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """Gives CORAL's loss: one yes-or-no question per step of the grades, "is it above?".

    The questions are consistent with each other if the logits differ in a bias alone; see
    `CoralHead`.

    Args:
        logits: of grade > 0, grade > 1, …; one fewer than there are grades.
        label: grade from 0; negative ones count as 0 and must be masked.

    Source:
        Cao, Mirjalili, Raschka 2020, eq. 3, all steps weighing 1.
    """
    return optax.losses.sigmoid_binary_cross_entropy(logits, _is_above(label, logits)).sum(-1)


def corn(
    logits: Float[Array, "batch steps"], label: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """Gives CORN's loss: question k, "is it above k?", is only asked of grades from k on.

    Summed over a batch it is divided by the number of questions asked, `corn_terms`, not by the
    number of examples.

    Args:
        logits: of grade > k given grade ≥ k, for k from 0; one fewer than there are grades.
        label: grade from 0; negative ones count as 0 and must be masked.

    Source:
        Shi, Cao, Raschka 2021, eq. 5.
    """
    step = jnp.arange(logits.shape[-1])
    losses = optax.losses.sigmoid_binary_cross_entropy(logits, _is_above(label, logits))
    return jnp.where(step <= jnp.maximum(label, 0)[:, None], losses, 0).sum(-1)


def corn_terms(label: Int[Array, " batch"], classes: int) -> Float[Array, " batch"]:
    """Counts the questions that `corn` asks of each example."""
    return jnp.clip(label + 1, 1, classes - 1).astype(jnp.float32)


def _is_above(
    label: Int[Array, " batch"], logits: Float[Array, "batch steps"]
) -> Float[Array, "batch steps"]:
    return (label[:, None] > jnp.arange(logits.shape[-1])).astype(logits.dtype)


def earth_movers_distance(
    logits: Float[Array, "batch bins"], target: Float[Array, "batch bins"]
) -> Float[Array, " batch"]:
    """Gives the root mean square distance between two cumulative distributions over bins.

    The root is taken per example. Where both are equal the gradient is 0, not NaN.

    Args:
        logits: of the predicted distribution; bins in the order of their scores.
        target: probabilities; each row sums to 1.

    Source:
        Talebi and Milanfar 2018 (NIMA), eq. 1 with r = 2.
    """
    difference = jnp.cumsum(jax.nn.softmax(logits) - target, axis=-1)
    return optax.safe_norm(difference, 0.0, axis=-1) / jnp.sqrt(float(logits.shape[-1]))


def huber(
    prediction: Float[Array, " batch"], target: Float[Array, " batch"]
) -> Float[Array, " batch"]:
    """Gives Huber's loss of scores on a scale from -1 to 1.

    Quadratic up to a tenth of the range (the usual spread of opinions), linear beyond, so that
    a few odd scores do not rule the gradient.
    """
    return optax.losses.huber_loss(prediction, target, delta=0.2)


def l1(
    prediction: Float[Array, " batch"], target: Float[Array, " batch"]
) -> Float[Array, " batch"]:
    """Gives the absolute error."""
    return jnp.abs(prediction - target)


def l2(
    prediction: Float[Array, " batch"], target: Float[Array, " batch"]
) -> Float[Array, " batch"]:
    """Gives the squared error."""
    return optax.losses.squared_error(prediction, target)


def correlation_loss(
    prediction: Float[Array, " batch"],
    target: Float[Array, " batch"],
    weight: Float[Array, " batch"],
) -> Float[Array, ""]:
    """Gives 1 - PLCC over a whole batch, in [0, 2]; 1 where nothing varies.

    It does not see scale and offset: use it beside a loss that does.

    Args:
        prediction: scores on a scale from -1 to 1.
        target: on the same.
        weight: of each example; those with 0 are not looked at.
    """
    share = weight / jnp.maximum(weight.sum(), 1e-12)

    def centred(values):
        values = jnp.where(weight > 0, values, 0)
        return values - share @ values

    prediction, target = centred(prediction), centred(target)
    # Far below the variance of any scores that differ; keeps the gradient finite where none do.
    spread = jnp.sqrt((share @ prediction**2) * (share @ target**2) + 1e-12)
    return 1 - share @ (prediction * target) / spread
