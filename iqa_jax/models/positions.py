"""Where a tile sits in its image's grid, as numbers and as an embedding that serves any grid."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

POSITIONS = ("none", "learned_1d", "learned_2d", "sincos_2d", "hash_grid")


def sincos_2d(
    position: Int[Array, "*batch 2"] | Float[Array, "*batch 2"], dim: int
) -> Float[Array, "*batch dim"]:
    """Encodes row and column as sines and cosines of falling frequency.

    Nothing is learned and nothing depends on the grid's size, so a step to the next tile is the
    same rotation everywhere and in every grid.

    Args:
        position: row and column.
        dim: a multiple of 4, at least 8.

    Returns:
        sin x, cos x, sin y, cos y, a quarter of `dim` each; x is the column.

    Raises:
        ValueError: for another `dim`.

    Source:
        The 2-D variant of "Attention is all you need" that ViT baselines use; frequency i is
        10000^(-i / (dim / 4 - 1)).
    """
    if dim % 4 or dim < 8:
        raise ValueError(f"sin-cos positions need a multiple of 4, 8 or more, as width, not {dim}")
    quarter = dim // 4
    frequency = 10000.0 ** (-jnp.arange(quarter) / (quarter - 1))
    y, x = jnp.moveaxis(position[..., None].astype(jnp.float32) * frequency, -2, 0)
    return jnp.concatenate([jnp.sin(x), jnp.cos(x), jnp.sin(y), jnp.cos(y)], axis=-1)


def hash_cell(
    index: Int[Array, "*batch"], length: Int[Array, "*#batch"], cells: int
) -> Int[Array, "*batch"]:
    """Maps index i of n onto one of G cells, floor(i G / n).

    Source:
        MUSIQ, hash-based 2-D spatial embedding.
    """
    return index * cells // jnp.maximum(length, 1)


def resize_at(
    table: Float[Array, "cells dim"], index: Int[Array, "*batch"], length: Int[Array, "*#batch"]
) -> Float[Array, "*batch dim"]:
    """Reads row `index` of a table resized linearly to `length` rows.

    It is the resizing of ViT's position tables with half-pixel centres, made per tile, because
    the grids in a batch differ.
    """
    cells = table.shape[0]
    scaled = (index.astype(jnp.float32) + 0.5) * cells
    place = scaled / jnp.maximum(length, 1).astype(jnp.float32) - 0.5
    place = jnp.clip(place, 0, cells - 1)
    low = jnp.floor(place)
    part, row = (place - low)[..., None], low.astype(jnp.int32)
    return (1 - part) * table[row] + part * table[jnp.minimum(row + 1, cells - 1)]


class PositionEmbedding(nn.Module):
    """Embeds tile positions, for any grid, also a larger one than was trained on.

    Attributes:
        positions: one of `POSITIONS`.
            none: zeros.
            learned_1d: a table over the tiles in reading order, resized to their number.
            learned_2d: one table per axis for half of the width each, resized to the grid.
            sincos_2d: see `sincos_2d`; the only one that keeps distance in tiles, not in parts of
                the image.
            hash_grid: one table of cells x cells, the nearest cell taken.
        dim: width.
        cells: side of the learned tables; `learned_1d` has cells² rows.
    """

    positions: str
    dim: int
    cells: int

    @nn.compact
    def __call__(
        self, tile_position: Int[Array, "batch tile 2"], grid_shape: Int[Array, "batch 2"]
    ) -> Float[Array, "batch tile dim"]:
        row, column = jnp.moveaxis(tile_position, -1, 0)
        rows, columns = (grid_shape[:, None, axis] for axis in (0, 1))
        if self.positions == "none":
            return jnp.zeros((*row.shape, self.dim))
        if self.positions == "sincos_2d":
            return sincos_2d(tile_position, self.dim)
        if self.positions == "learned_1d":
            table = self._table("sequence", self.cells**2, self.dim)
            return resize_at(table, row * columns + column, rows * columns)
        if self.positions == "learned_2d":
            half = self.dim // 2
            axes = (
                resize_at(self._table("rows", self.cells, half), row, rows),
                resize_at(self._table("columns", self.cells, self.dim - half), column, columns),
            )
            return jnp.concatenate(axes, axis=-1)
        if self.positions == "hash_grid":
            table = self._table("grid", self.cells, self.cells, self.dim)
            return table[hash_cell(row, rows, self.cells), hash_cell(column, columns, self.cells)]
        raise ValueError(f'positions "{self.positions}" are not among {", ".join(POSITIONS)}')

    def _table(self, name: str, *shape: int) -> Float[Array, "..."]:
        return self.param(name, nn.initializers.normal(0.02), shape)
