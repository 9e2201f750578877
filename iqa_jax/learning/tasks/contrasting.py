"""Learning embeddings in which images of like quality are near: no class is named in training.

The first outputs are the embedding, of length 1. The others are the logits of a probe, which no
loss reads: it is fitted on the embeddings of training images, and answers.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from iqa_jax.learning.contrastive_losses import (
    near_level,
    same_class,
    semi_hard_triplet,
    supervised_contrastive,
)
from iqa_jax.learning.tasks.task import Labels, Loss, Task

Contrast = Callable[[Array, Array, Array], Float[Array, " batch"]]


def _contrasting(
    contrast: Contrast,
    similarity: Callable[[Array, int], Float[Array, "batch batch"]],
    classes: int,
    projection_dim: int,
) -> Task:
    def batch_loss(logits, batch):
        weight, is_real = batch["weight"], batch["weight"] > 0
        alike = similarity(batch["label"], classes)
        losses = contrast(logits[:, :projection_dim], alike, is_real)
        return (weight * losses).sum() / jnp.maximum(is_real.sum(dtype=jnp.float32), 1)

    return Task(
        outputs=projection_dim + classes,
        loss=lambda logits, label: jnp.zeros(len(label)),
        predict=lambda logits: jax.nn.softmax(logits[..., projection_dim:]),
        batch_loss=batch_loss,
        projection_dim=projection_dim,
    )


def _supcon(similarity, labels: Labels, *, projection_dim: int, temperature: float) -> Task:
    contrast = partial(supervised_contrastive, temperature=temperature)
    return _contrasting(contrast, similarity, labels.classes, projection_dim)


def _triplet(similarity, labels: Labels, *, projection_dim: int, margin: float) -> Task:
    contrast = partial(semi_hard_triplet, margin=margin)
    return _contrasting(contrast, similarity, labels.classes, projection_dim)


def _losses(similarity) -> dict[str, Loss]:
    return {
        "supcon": Loss(partial(_supcon, similarity), "supcon"),
        "triplet": Loss(partial(_triplet, similarity), "triplet"),
    }


CLASS_CONTRASTS, LEVEL_CONTRASTS = _losses(same_class), _losses(near_level)
