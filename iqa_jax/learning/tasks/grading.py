"""Giving a grade: losses that know the order of the classes.

All answer with probabilities per grade. Published tables name no clear winner among them and
plain cross-entropy, which is therefore the default for ordered labels too.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from iqa_jax.learning.losses import coral, corn, corn_terms, earth_movers_distance
from iqa_jax.learning.tasks.task import Labels, Loss, Task


def grade_probabilities(
    is_above: Float[Array, "*batch steps"],
) -> Float[Array, "*batch grades"]:
    """Turns P(grade > 0), P(grade > 1), … into the probability of each grade.

    Args:
        is_above: probabilities that do not rise along the last axis.

    Returns:
        Probabilities, never negative, summing to 1.
    """
    ends = [(0, 0)] * (is_above.ndim - 1)
    above_previous = jnp.pad(is_above, [*ends, (1, 0)], constant_values=1)
    return above_previous - jnp.pad(is_above, [*ends, (0, 1)])


def coral_grading(labels: Labels) -> Task:
    """Makes the task of grading with CORAL."""

    def predict(logits):
        # A no-op on ordered biases, which training leads to but only its optimum guarantees.
        is_above = jax.lax.cummin(jax.nn.sigmoid(logits), axis=logits.ndim - 1)
        return grade_probabilities(is_above)

    return Task(outputs=labels.classes - 1, loss=coral, predict=predict, has_shared_weight=True)


def corn_grading(labels: Labels) -> Task:
    """Makes the task of grading with CORN."""
    return Task(
        outputs=labels.classes - 1,
        loss=corn,
        # P(grade > k) is the product of P(grade > j given grade ≥ j) for j up to k.
        predict=lambda logits: grade_probabilities(jnp.cumprod(jax.nn.sigmoid(logits), axis=-1)),
        terms=lambda label: corn_terms(label, labels.classes),
    )


def emd_grading(labels: Labels) -> Task:
    """Makes the task of grading where a miss costs more the further off it is."""
    return Task(
        outputs=labels.classes,
        loss=lambda logits, label: earth_movers_distance(
            logits, jax.nn.one_hot(jnp.maximum(label, 0), labels.classes)
        ),
        predict=jax.nn.softmax,
    )


GRADINGS = {"coral": Loss(coral_grading), "corn": Loss(corn_grading), "emd": Loss(emd_grading)}
