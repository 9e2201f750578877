"""A transformer encoder over the tiles of a bag, as ViT has over the patches of an image."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from iqa_jax.models.fusions.attention import Attention
from iqa_jax.models.fusions.fused import Fused, masked_softmax, uniform_attention, weigh
from iqa_jax.models.positions import PositionEmbedding

READOUTS = ("class_token", "mean", "attention")


class SelfAttention(nn.Module):
    """Multi-head self-attention that also gives its scores, masked keys at -inf."""

    heads: int
    dtype: DTypeLike

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "batch token width"], mask: Bool[Array, "batch token"]
    ) -> tuple[Float[Array, "batch token width"], Float[Array, "batch head token token"]]:
        width = tokens.shape[-1]

        def project(name: str) -> Float[Array, "batch token head part"]:
            projected = nn.Dense(width, dtype=self.dtype, name=name)(tokens)
            return projected.reshape(*tokens.shape[:-1], self.heads, -1)

        query, key, value = project("query"), project("key"), project("value")
        scores = jnp.einsum("bqhp,bkhp->bhqk", query, key).astype(jnp.float32)
        scores = scores / jnp.sqrt(width // self.heads)
        is_key = jnp.broadcast_to(mask[:, None, None, :], scores.shape)
        weights = masked_softmax(scores, is_key).astype(self.dtype)
        mixed = jnp.einsum("bhqk,bkhp->bqhp", weights, value).reshape(tokens.shape)
        output = nn.Dense(width, dtype=self.dtype, name="output")(mixed)
        return output, jnp.where(is_key, scores, -jnp.inf)


class Block(nn.Module):
    """One pre-norm transformer layer; gives its attention scores too."""

    heads: int
    mlp_dim: int
    dropout: float
    dtype: DTypeLike

    @nn.compact
    def __call__(
        self,
        tokens: Float[Array, "batch token width"],
        mask: Bool[Array, "batch token"],
        train: bool,
    ) -> tuple[Float[Array, "batch token width"], Float[Array, "batch head token token"]]:
        drop = nn.Dropout(self.dropout, deterministic=not train)
        normed = nn.LayerNorm(dtype=self.dtype)(tokens)
        mixed, scores = SelfAttention(self.heads, self.dtype)(normed, mask)
        tokens = tokens + drop(mixed)
        hidden = nn.Dense(self.mlp_dim, dtype=self.dtype)(nn.LayerNorm(dtype=self.dtype)(tokens))
        hidden = nn.Dense(tokens.shape[-1], dtype=self.dtype)(drop(nn.gelu(hidden)))
        return tokens + drop(hidden), scores


class TileVit(nn.Module):
    """Lets tiles look at each other before they are read out as one embedding.

    Attention is what the readout gives to the tiles. class_token: how the last layer's class token
    looks at them, mean over the heads, its look at itself left out. attention: the weights of the
    sum. mean: the same for all. With more than one layer it says which outputs are read, not where
    their content came from.

    Attributes:
        width: of the tokens; a multiple of `heads`, and of 4 for sincos_2d.
        depth: layers, 1 or more.
        heads: per layer.
        mlp_dim: hidden width of a layer's second half.
        dropout: part dropped in training, after the positions and in every layer.
        positions, position_cells: as in `PositionEmbedding`.
        readout: one of `READOUTS`.
        attention_dim: of the readout `attention`.
        dtype: of the computation; parameters and softmax stay float32.
    """

    width: int
    depth: int
    heads: int
    mlp_dim: int
    dropout: float
    positions: str
    position_cells: int
    readout: str
    attention_dim: int
    dtype: DTypeLike

    @nn.compact
    def __call__(
        self,
        embeddings: Float[Array, "batch tile dim"],
        tile_mask: Bool[Array, "batch tile"],
        tile_position: Int[Array, "batch tile 2"],
        grid_shape: Int[Array, "batch 2"],
        train: bool = False,
    ) -> Fused:
        position = PositionEmbedding(self.positions, self.width, self.position_cells)
        tokens = nn.Dense(self.width, dtype=self.dtype, name="project")(embeddings)
        tokens = tokens + position(tile_position, grid_shape).astype(self.dtype)
        mask = tile_mask
        if self.readout == "class_token":
            start = self.param("class_token", nn.initializers.normal(0.02), (self.width,))
            start = jnp.broadcast_to(start.astype(self.dtype), (tokens.shape[0], 1, self.width))
            tokens = jnp.concatenate([start, tokens], axis=1)
            mask = jnp.pad(mask, ((0, 0), (1, 0)), constant_values=True)
        tokens = nn.Dropout(self.dropout, deterministic=not train)(tokens)
        for layer in range(self.depth):
            block = Block(self.heads, self.mlp_dim, self.dropout, self.dtype, name=f"layer_{layer}")
            tokens, scores = block(tokens, mask, train)
        tokens = nn.LayerNorm(dtype=self.dtype, name="norm")(tokens)
        if self.readout == "class_token":
            has_tiles = tile_mask.any(axis=1, keepdims=True)
            embedding = jnp.where(has_tiles, tokens[:, 0], 0)
            return Fused(embedding, _class_attention(scores, tile_mask))
        if self.readout == "mean":
            return weigh(tokens, uniform_attention(tile_mask))
        if self.readout == "attention":
            pool = Attention(self.attention_dim, self.dtype, name="readout")
            return pool(tokens, tile_mask, tile_position, grid_shape, train)
        raise ValueError(f'readout "{self.readout}" is not among {", ".join(READOUTS)}')


def _class_attention(
    scores: Float[Array, "batch head token token"], tile_mask: Bool[Array, "batch tile"]
) -> Float[Array, "batch tile"]:
    """Averages over the heads how the class token looks at the tiles, normalised over those."""
    # In logarithms: a class token that looks at little but itself must not lead to 0/0.
    looks = jax.nn.log_softmax(scores[:, :, 0])[..., 1:]
    looks = jnp.where(tile_mask[:, None], looks, 0)
    return masked_softmax(jax.nn.logsumexp(looks, axis=1), tile_mask)
