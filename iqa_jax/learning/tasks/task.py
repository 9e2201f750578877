"""What a label kind asks of the network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

# What a loss of a whole batch may look at, besides the logits.
BATCH_TERMS = ("label", "weight", "set_id")


def one_term_each(label: Array) -> Float[Array, " batch"]:
    """Says that every example brings one term to the loss."""
    return jnp.ones(label.shape[0])


@dataclass(frozen=True)
class Task:
    """Joins outputs, loss and answer.

    The loss of a batch is `Σ weight · loss / Σ terms` over its real examples, plus the batch loss.

    Attributes:
        outputs: width of the head's last layer.
        loss: `(logits [batch, outputs], label [batch, …]) -> [batch]`.
        predict: `logits [..., outputs] -> [..., values]`: probabilities per class, lowest quality
            first, or one score, higher is better: of opinion scores within the label's scale.
        terms: `label [batch, …] -> [batch]`, how many terms each example brings to the loss.
        batch_loss: `(logits, batch) -> scalar`, a term that needs the whole batch, of which it has
            what `BATCH_TERMS` names; `weight` [batch] is 0 for masked examples.
        has_shared_weight: whether the outputs differ in a bias alone; see `CoralHead`.
        target: `label [batch] -> [batch, outputs]`, the outputs that are trained to be the label,
            before an answer is kept on its scale; None where an answer is not the outputs
            themselves.
        projection_dim: so many outputs are an embedding and the rest a probe's; see
            `ProjectionHead`. 0: the network is trained to answer.
    """

    outputs: int
    loss: Callable[[Array, Array], Array]
    predict: Callable[[Array], Array]
    terms: Callable[[Array], Array] = one_term_each
    batch_loss: Callable[[Array, Mapping[str, Array]], Array] | None = None
    has_shared_weight: bool = False
    target: Callable[[Array], Array] | None = None
    projection_dim: int = 0


class Labels(NamedTuple):
    """What labels say that a task depends on.

    Attributes:
        classes: how many there are.
        minimum, maximum: of the scale of opinion scores.
        ratings: so many scores come with a count of ratings each; 0: there are no counts.
        sets: of images, of each of which `set_id` names one; scores are compared within a set.
    """

    classes: int
    minimum: float
    maximum: float
    ratings: int = 0
    sets: int = 1


class Loss(NamedTuple):
    """A loss as a config names it.

    Attributes:
        make: `(labels, **keys) -> Task`.
        section: of `config.loss`, which has the keys; "" where there are none.
    """

    make: Callable[..., Task]
    section: str = ""
