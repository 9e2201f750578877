"""Grad-CAM on tiles: which places of the last feature map speak for an answer.

The encoder runs once. Going back there are two short steps, by the chain rule the same as one:
from the answer through head and fusion to the embeddings of a bag, then from each embedding
through the pooling to its own map. The second needs no other tile, so an image may have any
number of them.

Source:
    Selvaraju et al. 2017, Grad-CAM, equations 1 and 2.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from iqa_jax.models.encoders.encoder import pool_last_again
from iqa_jax.models.quality_model import ModelOutput, QualityModel


def evidence(
    values: Float[Array, "*batch values"], shares: Float[Array, " values"] | None
) -> Float[Array, "*batch"]:
    """Gives what a map explains, before any softmax flattens it.

    Args:
        values: probabilities per class, or one score (higher is better).
        shares: how much each class counts as what is to be explained, in [0, 1]; None for a score.

    Returns:
        Classes: log Σ p·share - log Σ p·(1 - share). With (bad, good) and shares (1, 0) this is the
        logit of bad minus that of good. A score: its negative, so that a map shows what lowers it.
    """
    if shares is None:
        return -values[..., 0]
    # Both sums from small terms: 1 - p would have lost the digits of a sure answer.
    smallest = jnp.finfo(values.dtype).tiny
    for_it = jnp.maximum(values @ shares, smallest)
    against_it = jnp.maximum(values @ (1 - shares), smallest)
    return jnp.log(for_it) - jnp.log(against_it)


def embedding_gradient(
    variables: Any,
    bags: Mapping[str, Array],
    shares: Float[Array, " values"] | None,
    *,
    model: QualityModel,
    predict: Callable[[Array], Array],
    is_alone: bool,
) -> Float[Array, "batch tile dim"]:
    """Differentiates the evidence of each bag with respect to its tiles' embeddings.

    Args:
        variables: of the network.
        bags: `embeddings`, `features`, `tile_mask`, `tile_position`, `grid_shape`, as `answer`
            takes them.
        shares: as in `evidence`.
        model: of the run.
        predict: logits to values, the task's.
        is_alone: True for the evidence of every tile as a bag of its own, which is what late
            fusions answer from; False for that of the bag through the network's fusion.

    Returns:
        The gradient; 0 for padding.
    """

    def total(embeddings: Array) -> Array:
        bags_with = {**bags, "embeddings": embeddings}
        output = cast(ModelOutput, model.apply(variables, bags_with, method="answer"))
        if is_alone:
            assert output.tile_logits is not None
            # A masked tile's own evidence is not NaN, but nobody's either.
            each = evidence(predict(output.tile_logits), shares)
            return jnp.where(bags["tile_mask"], each, 0).sum()
        return evidence(predict(output.logits), shares).sum()

    return jax.grad(total)(bags["embeddings"])


def grad_cam(
    last_map: Float[Array, "tile rows columns channels"],
    embedding: Float[Array, "tile dim"],
    gradient: Float[Array, "tile dim"],
    *,
    pooling: str,
) -> Float[Array, "tile rows columns"]:
    """Weighs the channels of each tile's last map by their mean gradient; below 0 becomes 0.

    With the poolings of all maps it shows what the answer owes to the mean of the last one: a
    deviation has a mean gradient of 0, and earlier maps are left as they are.

    Args:
        last_map: of each tile.
        embedding: pooled from it.
        gradient: of the evidence with respect to the embedding; see `embedding_gradient`.
        pooling: the encoder's.

    Returns:
        Relevance, 0 or more, in units of the evidence per cell, comparable between tiles of one
        image.
    """
    last_map = last_map.astype(jnp.float32)
    _, pull_back = jax.vjp(lambda each: pool_last_again(embedding, each, pooling), last_map)
    weights = pull_back(gradient)[0].mean(axis=(1, 2))
    return jax.nn.relu(jnp.einsum("trcd,td->trc", last_map, weights))
