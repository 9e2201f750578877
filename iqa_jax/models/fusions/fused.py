"""What every fusion returns, and the masked sums that several share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Fused(NamedTuple):
    """One bag, fused.

    Attributes:
        embedding: the bag's embedding; zero for an empty bag.
        attention: the share of each tile in it; sums to 1 over the real tiles of a bag, 0 on
            padding and on every tile of an empty bag.
    """

    embedding: Float[Array, "batch dim"]
    attention: Float[Array, "batch tile"]


def masked_softmax(
    scores: Float[Array, "*batch item"], mask: Bool[Array, "*batch item"]
) -> Float[Array, "*batch item"]:
    """Normalises over the real items only, in float32; all zeros, gradient too, where none is."""
    is_empty = ~mask.any(axis=-1, keepdims=True)
    # A softmax over nothing is 0/0: an empty row is normalised over everything, then dropped.
    weights = jax.nn.softmax(scores.astype(jnp.float32), where=mask | is_empty)
    return jnp.where(mask, weights, 0)


def uniform_attention(tile_mask: Bool[Array, "batch tile"]) -> Float[Array, "batch tile"]:
    """Gives every real tile of a bag the same share."""
    weight = tile_mask.astype(jnp.float32)
    return weight / jnp.maximum(weight.sum(axis=-1, keepdims=True), 1)


def weigh(
    embeddings: Float[Array, "batch tile dim"], attention: Float[Array, "batch tile"]
) -> Fused:
    """Sums the embeddings of a bag by their shares."""
    embeddings = embeddings.astype(attention.dtype)
    return Fused(jnp.einsum("btd,bt->bd", embeddings, attention), attention)
