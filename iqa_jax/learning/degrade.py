"""Degrades training tiles on the device, each in its own way."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt8, UInt32

# (image [height, width, 3] from 0 to 255, strength, random numbers) -> the image degraded.
Change = Callable[[Any, Any, Any], Any]


class _Draws:
    """Gives what a change asks of a NumPy generator, from one key."""

    def __init__(self, key: Key[Array, ""]):
        self._key = key

    def standard_normal(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return jax.random.normal(self._key, shape, dtype)

    def random(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return jax.random.uniform(self._key, shape, dtype)


def degrade(
    tiles: UInt8[Array, "batch tile height width 3"],
    distortion: Int[Array, " batch"],
    strength: Float[Array, " batch"],
    chance: UInt32[Array, " batch"],
    changes: Sequence[Change],
) -> UInt8[Array, "batch tile height width 3"]:
    """Degrades each example by the change and strength that it names.

    On an accelerator every change is computed for every example and one is kept: they cost little
    beside the network, and no example waits for the branch of another. A CPU takes one example
    after the other and computes what it asks for.

    Args:
        tiles: RGB.
        distortion: 0 to leave the example as it is, k for the k-th of the changes.
        strength: of the change.
        chance: seed of the example's random numbers; each of its tiles has its own.
        changes: what there is to choose from.

    Returns:
        The tiles, rounded to what a file could hold.
    """

    def change_one(tile, number, strength, key):
        image = tile.astype(jnp.float32)
        branches = [partial(change, image, strength, _Draws(key)) for change in changes]
        changed = jax.lax.switch(number, [lambda: image, *branches])
        return jnp.clip(jnp.round(changed), 0, 255).astype(jnp.uint8)

    def change_bag(bag, number, strength, seed):
        keys = jax.random.split(jax.random.key(seed), len(bag))
        return jax.vmap(change_one, (0, None, None, 0))(bag, number, strength, keys)

    if jax.default_backend() == "cpu":
        examples = (tiles, distortion, strength, chance)
        return jax.lax.map(lambda example: change_bag(*example), examples)
    return jax.vmap(change_bag)(tiles, distortion, strength, chance)
