"""What every tile encoder is: feature maps, pooled to an embedding."""

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float


def pool_mean(maps: list[Float[Array, "n _ _ _"]]) -> Float[Array, "n dim"]:
    """Gives the mean of the last feature map: what it shows."""
    return jnp.mean(maps[-1], axis=(1, 2))


def pool_statistics(maps: list[Float[Array, "n _ _ _"]]) -> Float[Array, "n dim"]:
    """Gives mean and standard deviation of every map: also how it looks, from grain to layout.

    Early maps hold the noise, blur and blocking that the last one was trained to ignore. Their
    statistics are taken in float32, and the deviation has a finite slope on flat maps.
    """
    maps = [feature_map.astype(jnp.float32) for feature_map in maps]
    means = [jnp.mean(feature_map, axis=(1, 2)) for feature_map in maps]
    deviations = [jnp.sqrt(jnp.var(feature_map, axis=(1, 2)) + 1e-6) for feature_map in maps]
    return jnp.concatenate([*means, *deviations], axis=-1)


def pool_last(maps: list[Float[Array, "n _ _ _"]]) -> Float[Array, "n dim"]:
    """Gives mean and standard deviation of the last feature map."""
    return pool_statistics(maps[-1:])


POOLINGS: Mapping[str, Callable] = {
    "mean": pool_mean,
    "last": pool_last,
    "stages": pool_statistics,
    "layers": pool_statistics,
}
# Poolings that also take the maps within an encoder's blocks.
WITHIN_BLOCKS = ("layers",)
NORM_STATISTICS = ("batch", "running")


def pool_last_again(
    embedding: Float[Array, "n dim"],
    last_map: Float[Array, "n rows columns channels"],
    pooling: str,
) -> Float[Array, "n dim"]:
    """Gives embeddings with their part from the last feature map pooled from another such map.

    It makes an embedding a function of the last map alone, without the maps before it.

    Args:
        embedding: of the same tiles, pooled by `pooling`.
        last_map: what to pool in place of the last map.
        pooling: a key of `POOLINGS`.
    """
    # Every statistic of the last map stands behind those of the others.
    last = POOLINGS[pooling]([last_map]).reshape(len(last_map), -1, last_map.shape[-1])
    others = embedding.reshape(*last.shape[:2], -1)[..., : -last_map.shape[-1]]
    return jnp.concatenate([others, last], axis=-1).reshape(embedding.shape)


class Encoder(nn.Module):
    """Encodes tiles as embeddings, pooled from the maps that a subclass gives.

    A subclass has `feature_maps(images, mask, train, drop_progress)`, arguments as `__call__`,
    which gives maps [n, rows, columns, channels], the last one last; those within blocks only to
    the poolings `WITHIN_BLOCKS`.

    Variables are `params/layer_NN/{kernel, scale, bias}` and `batch_stats/layer_NN/{mean, var}`,
    NN the number of the convolution in forward order, always float32.

    Attributes:
        dtype: of the computation.
        axis_name: of the mapped axis to share BatchNorm statistics over, under `pmap`. Under
            `jit` a global batch needs none.
        pooling: a key of `POOLINGS`: how feature maps become the embedding.
        norm_statistics: one of `NORM_STATISTICS`: what BatchNorm normalises with in training.
            "running" are those of evaluation, which then stay as they are: a tile's embedding
            does not depend on the other tiles of its batch.
    """

    dtype: DTypeLike
    axis_name: str | None
    pooling: str
    norm_statistics: str

    def encode_with_map(
        self, images: Float[Array, "n height width 3"]
    ) -> tuple[Float[Array, "n dim"], Float[Array, "n rows columns channels"]]:
        """Gives embeddings, and the last feature map that they were pooled from.

        Args:
            As `__call__`.
        """
        maps = self.feature_maps(images)
        return POOLINGS[self.pooling](maps), maps[-1]

    def __call__(
        self,
        images: Float[Array, "n height width 3"],
        mask: Bool[Array, " n"] | None = None,
        train: bool = False,
        drop_progress: float | Float[Array, ""] = 1.0,
    ) -> Float[Array, "n dim"]:
        """Encodes images as `pooling` says.

        Args:
            images: normalised RGB [n, height, width, 3] (/255, ImageNet mean and deviation).
            mask: [n], False where the image is padding: it then has no part in the statistics of
                BatchNorm. None means all are real.
            train: batch statistics in trainable layers (collection "batch_stats" must be
                mutable), and DropBlock.
            drop_progress: how far DropBlock is ramped up, 0 (nothing dropped) to 1.

        Returns:
            Embeddings [n, dim] in `dtype`; dim as `embedding_dim`.
        """
        return POOLINGS[self.pooling](self.feature_maps(images, mask, train, drop_progress))
