"""The whole network: tiles to embeddings, embeddings of a bag to one, that one to an answer."""

from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# The statistics of the photographs that the pretrained encoder was trained on, RGB in [0, 1].
# Source: torchvision, the input transform of MobileNetV2 IMAGENET1K_V1.
MEAN = (0.485, 0.456, 0.406)
STANDARD_DEVIATION = (0.229, 0.224, 0.225)


def _normalise(tiles: Float[Array, "n height width 3"]) -> Float[Array, "n height width 3"]:
    return (tiles - jnp.array(MEAN)) / jnp.array(STANDARD_DEVIATION)


class Answer(NamedTuple):
    """What the network says of a batch of bags, before the task turns it into scores.

    Attributes:
      logits: the head on the fused embedding.
      tile_logits: of every tile as a bag of its own (at evaluation; None in training).
      attention: share of each tile; see `Fused`.
      embedding: the fused embedding.
    """

    logits: Float[Array, "batch outputs"]
    tile_logits: Float[Array, "batch tile outputs"] | None
    attention: Float[Array, "batch tile"]
    embedding: Float[Array, "batch dim"]


class QualityModel(nn.Module):
    """Encoder, fusion and head.

    Hand-crafted features join each tile's embedding, so that every fusion and the head see them.

    Attributes:
      encoder: `(images [n, height, width, 3], mask, train) -> [n, dim]`.
      fusion: `(embeddings, tile_mask, tile_position, grid_shape, train) -> Fused`.
      head: `([*, dim], train) -> [*, outputs]`.
    """

    encoder: nn.Module
    fusion: nn.Module
    head: nn.Module

    def encode(
        self,
        tiles: Float[Array, "n height width 3"],
        mask: Bool[Array, " n"] | None = None,
        train: bool = False,
        progress: Float[Array, ""] | float = 1.0,
    ) -> Float[Array, "n dim"]:
        """Gives each tile's embedding.

        Args:
          tiles: RGB in [0, 1].
          mask: False for padding, which must not enter BatchNorm's statistics.
          train: batch statistics and dropout.
          progress: part of the run that is over, in [0, 1]; DropBlock's ramp.
        """
        return self.encoder(_normalise(tiles), mask, train, progress)

    def encode_with_map(
        self, tiles: Float[Array, "n height width 3"]
    ) -> tuple[Float[Array, "n dim"], Float[Array, "n rows columns channels"]]:
        """Gives each tile's embedding, and the last feature map that it was pooled from.

        Args:
          tiles: RGB in [0, 1].
        """
        return self.encoder.encode_with_map(_normalise(tiles))

    def answer(self, bags: Mapping[str, Array], train: bool = False) -> Answer:
        """Fuses bags of embeddings and answers.

        Args:
          bags: `embeddings` [batch, tile, dim], `features` [batch, tile, feature], `tile_mask`,
            `tile_position`, `grid_shape`.
          train: dropout, and no answer per tile.
        """
        embeddings = jnp.concatenate([bags["embeddings"], bags["features"]], axis=-1)
        mask, position, grid = bags["tile_mask"], bags["tile_position"], bags["grid_shape"]
        fused = self.fusion(embeddings, mask, position, grid, train)
        logits = self.head(fused.embedding, train)
        tile_logits = None if train else self._answer_tiles(embeddings, position, grid)
        return Answer(logits, tile_logits, fused.attention, fused.embedding)

    def _answer_tiles(
        self,
        embeddings: Float[Array, "batch tile dim"],
        tile_position: Int[Array, "batch tile 2"],
        grid_shape: Int[Array, "batch 2"],
    ) -> Float[Array, "batch tile outputs"]:
        """Answers every tile as the one tile of a bag, at its place in its grid."""
        batch, tiles, dim = embeddings.shape
        alone = self.fusion(
            embeddings.reshape(-1, 1, dim),
            jnp.ones((batch * tiles, 1), bool),
            tile_position.reshape(-1, 1, 2),
            jnp.repeat(grid_shape, tiles, axis=0),
        )
        return self.head(alone.embedding).reshape(batch, tiles, -1)

    def __call__(
        self,
        batch: Mapping[str, Array],
        train: bool = False,
        progress: Float[Array, ""] | float = 1.0,
    ) -> Answer:
        """Answers a batch of bags of tiles (float, in [0, 1]), or of their embeddings."""
        if "embeddings" in batch:
            return self.answer(batch, train)
        tiles, mask = batch["tiles"], batch["tile_mask"]
        embeddings = self.encode(
            tiles.reshape(-1, *tiles.shape[2:]), mask.reshape(-1), train, progress
        )
        return self.answer({**batch, "embeddings": embeddings.reshape(*mask.shape, -1)}, train)
