"""Losses per example, and the tasks that join a label kind to its loss and its answer.

A task says how many outputs the head has, what one example costs, and how outputs become the
probabilities or the score that people read. A new label kind is one more entry of `TASKS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

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

    Source: Szegedy et al. 2016, section 7.
    """
    classes = logits.shape[-1]
    target = optax.smooth_labels(jax.nn.one_hot(jnp.maximum(label, 0), classes), label_smoothing)
    return optax.losses.softmax_cross_entropy(logits, target)


def scaled_huber(
    logits: Float[Array, "batch 1"],
    label: Float[Array, " batch"],
    minimum: float,
    maximum: float,
) -> Float[Array, " batch"]:
    """Gives Huber's loss on the scale where the opinion scores' range is [-1, 1].

    Quadratic up to a tenth of the range (the usual spread of opinions), linear beyond, so that
    a few odd scores do not rule the gradient.
    """
    target = (label - (minimum + maximum) / 2) / ((maximum - minimum) / 2)
    return optax.losses.huber_loss(logits[:, 0], target, delta=0.2)


@dataclass(frozen=True)
class Task:
    """What a label kind asks of the network.

    Attributes:
      outputs: width of the head's last layer.
      loss: `(logits [batch, outputs], label [batch]) -> [batch]`.
      predict: `logits [..., outputs] -> [..., values]`: probabilities per class, or one score.
    """

    outputs: int
    loss: Callable[[Array, Array], Array]
    predict: Callable[[Array], Array]


def classification(classes: tuple[str, ...], label_smoothing: float, **_) -> Task:
    """Makes the task of naming one of some classes."""
    return Task(
        outputs=len(classes),
        loss=lambda logits, label: cross_entropy(logits, label, label_smoothing),
        predict=lambda logits: jax.nn.softmax(logits, axis=-1),
    )


def regression(minimum: float, maximum: float, **_) -> Task:
    """Makes the task of giving a score on the scale [minimum, maximum]."""
    return Task(
        outputs=1,
        loss=lambda logits, label: scaled_huber(logits, label, minimum, maximum),
        predict=lambda logits: (minimum + maximum) / 2 + logits * (maximum - minimum) / 2,
    )


TASKS: dict[str, Callable[..., Task]] = {
    "binary": classification,
    "ordered": classification,
    "unordered": classification,
    "numeric": regression,
}
