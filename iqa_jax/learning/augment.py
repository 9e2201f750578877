"""Random changes of training tiles, on the device: flips, hue and saturation.

Nothing here may change what people call quality: no blur, noise, scaling or contrast.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8

# Luma and chroma, Rec. 601 (the YIQ of NTSC): a turn of the (I, Q) plane is a turn of the hue and
# its scale is the saturation, so both are one 3x3 matrix and luma, which carries most of what
# quality is, stays as it was.
_RGB_TO_YIQ = jnp.array(
    [[0.299, 0.587, 0.114], [0.59590, -0.27455, -0.32135], [0.21153, -0.52274, 0.31121]]
)


def colour_matrix(hue: Float[Array, " n"], saturation: Float[Array, " n"]) -> Float[Array, "n 3 3"]:
    """Gives the matrices that turn the hue and scale the saturation of RGB column vectors.

    Args:
        hue: turn in parts of the colour circle.
        saturation: factor; 1 leaves it.
    """
    cosine = saturation * jnp.cos(2 * jnp.pi * hue)
    sine = saturation * jnp.sin(2 * jnp.pi * hue)
    zero, one = jnp.zeros_like(hue), jnp.ones_like(hue)
    turn = jnp.stack(
        [
            jnp.stack([one, zero, zero], -1),
            jnp.stack([zero, cosine, -sine], -1),
            jnp.stack([zero, sine, cosine], -1),
        ],
        -2,
    )
    return jnp.linalg.inv(_RGB_TO_YIQ) @ turn @ _RGB_TO_YIQ


def to_unit(tiles: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Brings 8-bit values to [0, 1]."""
    return tiles.astype(jnp.float32) / 255


def augment(
    tiles: UInt8[Array, "batch tile height width 3"],
    key: Key[Array, ""],
    *,
    flip_horizontal: bool,
    flip_vertical: bool,
    hue_jitter: float,
    saturation_jitter: float,
    place: Int[Array, " batch"] | None = None,
) -> Float[Array, "batch tile height width 3"]:
    """Changes each example at random; all tiles of a bag alike, as one photograph would be.

    Each example has a key of its own, made from its place in the global batch: the result does
    not depend on how many devices share the batch, or in how many parts it is worked on.

    Args:
        tiles: RGB.
        key: of this step.
        flip_horizontal: mirror left-right with probability ½.
        flip_vertical: mirror top-bottom with probability ½.
        hue_jitter: largest turn of the hue, parts of the circle, both ways.
        saturation_jitter: saturation is multiplied by a factor from 1 ± this.
        place: of each example in the global batch; None if these are all of it.

    Returns:
        RGB in [0, 1].
    """
    draws = _draw(key, len(tiles), place)
    images = to_unit(tiles)
    pick = (slice(None), None, None, None, None)
    if flip_horizontal:
        images = jnp.where((draws[:, 0] < 0.5)[pick], images[:, :, :, ::-1], images)
    if flip_vertical:
        images = jnp.where((draws[:, 1] < 0.5)[pick], images[:, :, ::-1], images)
    if hue_jitter or saturation_jitter:
        hue = hue_jitter * (2 * draws[:, 2] - 1)
        saturation = 1 + saturation_jitter * (2 * draws[:, 3] - 1)
        matrices = colour_matrix(hue, saturation)
        # Written out: a batched 3x3 product over pixels is slow on every backend.
        channels = [
            sum(
                matrices[:, row, column, None, None, None] * images[..., column]
                for column in range(3)
            )
            for row in range(3)
        ]
        images = jnp.clip(jnp.stack(channels, axis=-1), 0, 1)
    return images


def mirror_positions(
    tile_position: Int[Array, "batch tile 2"],
    grid_shape: Int[Array, "batch 2"],
    key: Key[Array, ""],
    *,
    flip_horizontal: bool,
    flip_vertical: bool,
    place: Int[Array, " batch"] | None = None,
) -> Int[Array, "batch tile 2"]:
    """Moves tiles to where they lie in the photograph that `augment` mirrors by the same key.

    Args:
        tile_position: row and column.
        grid_shape: rows and columns.
        key, flip_horizontal, flip_vertical, place: as given to `augment`.
    """
    draws = _draw(key, len(tile_position), place)
    asked = jnp.array([flip_vertical, flip_horizontal])
    is_mirrored = (draws[:, 1::-1] < 0.5) & asked
    mirrored = grid_shape[:, None] - 1 - tile_position
    return jnp.where(is_mirrored[:, None], mirrored, tile_position)


def _draw(
    key: Key[Array, ""], batch: int, place: Int[Array, " batch"] | None
) -> Float[Array, "batch 4"]:
    """Draws each example's numbers by its place in the global batch."""
    place = jnp.arange(batch) if place is None else place
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(place)
    return jax.vmap(lambda k: jax.random.uniform(k, (4,)))(keys)
