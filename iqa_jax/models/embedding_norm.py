"""Brings the dimensions of tile embeddings to one scale, before they are fused."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iqa_jax.models.layers.batch_norm import move_statistics, normalise, normalise_batch


class EmbeddingNorm(nn.Module):
    """BatchNorm of embeddings over real tiles, without scale and bias.

    Means and deviations of feature maps from all over an encoder differ in size by orders of
    magnitude; where they are used as they come, the largest rule what a fusion learns.

    Attributes:
        axis_name: mapped axis to share the statistics over, or None.
    """

    axis_name: str | None = None

    @nn.compact
    def __call__(
        self,
        embeddings: Float[Array, "batch tile dim"],
        tile_mask: Bool[Array, "batch tile"],
        train: bool,
    ) -> Float[Array, "batch tile dim"]:
        """Normalises with the statistics of the batch in training, else with the running ones."""
        dim = embeddings.shape[-1]
        mean = self.variable("batch_stats", "mean", jnp.zeros, (dim,))
        var = self.variable("batch_stats", "var", jnp.ones, (dim,))
        maps = embeddings.reshape(-1, 1, 1, dim)
        one, zero = jnp.ones(dim), jnp.zeros(dim)
        if train and not self.is_initializing():
            maps, batch = normalise_batch(  # pyright: ignore[reportGeneralTypeIssues] (custom_vjp)
                maps, one, zero, tile_mask.reshape(-1), mean.value, False, self.axis_name
            )
            mean.value, var.value = move_statistics(mean.value, var.value, batch)
        else:
            maps = normalise(maps, one, zero, mean.value, var.value, False)
        return maps.reshape(embeddings.shape)
