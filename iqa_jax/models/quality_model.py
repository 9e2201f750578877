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


class ModelOutput(NamedTuple):
    """What the network says of a batch of bags, before the task turns it into scores.

    Attributes:
        logits: the head on the fused embedding.
        tile_logits: of every tile as a bag of its own; None where not asked for.
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
        embedding_norm: `(embeddings, tile_mask, train) -> embeddings`, or None.
        tiles_per_chunk: so many tiles of every bag are encoded at once in training, and encoded
            again for the gradient, so that memory does not grow with the bag; 0: all at once.
            BatchNorm then takes its statistics chunk by chunk.
        set_scales: `(outputs, set_id) -> outputs`, which brings them to the scales that the labels
            of several sets have, or None. Without `set_id` in a batch they are on the first set's.
    """

    encoder: nn.Module
    fusion: nn.Module
    head: nn.Module
    embedding_norm: nn.Module | None
    tiles_per_chunk: int
    set_scales: nn.Module | None

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

    def encode_bags(
        self,
        tiles: Float[Array, "batch tile height width 3"],
        mask: Bool[Array, "batch tile"],
        train: bool,
        progress: Float[Array, ""] | float,
    ) -> Float[Array, "batch tile dim"]:
        """Gives the embeddings of the tiles of bags; arguments as in `encode`."""

        def encode(model, tiles, mask):
            flat = model.encode(
                tiles.reshape(-1, *tiles.shape[2:]), mask.reshape(-1), train, progress
            )
            return flat.reshape(*mask.shape, -1)

        batch, count = mask.shape
        size = self.tiles_per_chunk
        if not size or count <= size or self.is_initializing():
            return encode(self, tiles, mask)
        # Chunks cut the axis of tiles: that of bags may be spread over devices.
        chunks = -(-count // size)
        ends = ((0, 0), (0, chunks * size - count))
        tiles = jnp.pad(tiles, (*ends, (0, 0), (0, 0), (0, 0)))
        parts = (
            jnp.moveaxis(tiles.reshape(batch, chunks, size, *tiles.shape[2:]), 1, 0),
            jnp.moveaxis(jnp.pad(mask, ends).reshape(batch, chunks, size), 1, 0),
        )
        scan = nn.scan(
            nn.remat(lambda model, carry, part: (carry, encode(model, *part))),
            variable_broadcast="params",
            variable_carry="batch_stats",
            split_rngs={"dropout": True},
        )
        _, embeddings = scan(self, (), parts)
        return jnp.moveaxis(embeddings, 0, 1).reshape(batch, chunks * size, -1)[:, :count]

    def answer(
        self,
        bags: Mapping[str, Array],
        train: bool = False,
        with_tiles: bool = True,
        drops: bool = False,
    ) -> ModelOutput:
        """Fuses bags of embeddings and answers.

        Args:
            bags: `embeddings` [batch, tile, dim], `features` [batch, tile, feature], `tile_mask`,
                `tile_position`, `grid_shape`.
            train: batch statistics and dropout.
            with_tiles: answer for every tile too.
            drops: dropout alone.
        """
        mask, position, grid = bags["tile_mask"], bags["tile_position"], bags["grid_shape"]
        embeddings = bags["embeddings"]
        if self.embedding_norm is not None:
            embeddings = self.embedding_norm(embeddings, mask, train)
        embeddings = embeddings.astype(jnp.float32)
        embeddings = jnp.concatenate([embeddings, bags["features"]], axis=-1)
        drops = drops or train
        fused = self.fusion(embeddings, mask, position, grid, drops)
        logits = self.head(fused.embedding, drops)
        tile_logits = None
        if with_tiles:
            tile_logits = self._answer_tiles(embeddings, position, grid, drops)
        if self.set_scales is not None and "set_id" in bags:
            logits = self.set_scales(logits, bags["set_id"])
            if tile_logits is not None:
                tile_logits = self.set_scales(tile_logits, bags["set_id"])
        return ModelOutput(logits, tile_logits, fused.attention, fused.embedding)

    def _answer_tiles(
        self,
        embeddings: Float[Array, "batch tile dim"],
        tile_position: Int[Array, "batch tile 2"],
        grid_shape: Int[Array, "batch 2"],
        train: bool,
    ) -> Float[Array, "batch tile outputs"]:
        """Answers every tile as the one tile of a bag, at its place in its grid."""
        batch, tiles, dim = embeddings.shape
        alone = self.fusion(
            embeddings.reshape(-1, 1, dim),
            jnp.ones((batch * tiles, 1), bool),
            tile_position.reshape(-1, 1, 2),
            jnp.repeat(grid_shape, tiles, axis=0),
            train,
        )
        return self.head(alone.embedding, train).reshape(batch, tiles, -1)

    def __call__(
        self,
        batch: Mapping[str, Array],
        train: bool = False,
        progress: Float[Array, ""] | float = 1.0,
        with_tiles: bool = True,
    ) -> ModelOutput:
        """Answers a batch of bags of tiles (float, in [0, 1]), or of their embeddings."""
        if "embeddings" not in batch:
            tiles, mask = batch["tiles"], batch["tile_mask"]
            batch = {**batch, "embeddings": self.encode_bags(tiles, mask, train, progress)}
        return self.answer(batch, train, with_tiles)
