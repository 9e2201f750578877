"""Networks for tiles of 16 pixels: an encoder that is nothing to compile, drawn parameters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from configs import default
from iqa_jax.run import build
from iqa_jax.scoring.networks import Member

SIZE = 16


class CornerMeans(nn.Module):
    """Encodes a tile by the mean colour of its four corners."""

    def __call__(self, images, mask=None, train=False, progress=1.0):
        half = images.shape[1] // 2
        corners = [images[:, i : i + half, j : j + half] for i in (0, half) for j in (0, half)]
        return jnp.concatenate([corner.mean(axis=(1, 2)) for corner in corners], axis=-1)


CORNER_MEANS = CornerMeans()


def make_tile_config(**changes) -> ml_collections.ConfigDict:
    config = default.get_config()
    small = {"tiles.size": SIZE, "tiles.stride": SIZE, "model.weights": "none"}
    small |= {"model.hidden_dim": 8, "host.tiles_per_chunk": 16}
    config.update_from_flattened_dict({**small, **changes})
    return config


def make_tile_network(
    config: ml_collections.ConfigDict, seed: int = 0, encoder: nn.Module | None = CORNER_MEANS
) -> Member:
    """Draws a network; with None for an encoder it has the config's."""
    model = build.model_from_config(config)
    model = model if encoder is None else model.clone(encoder=encoder)
    size = config.tiles.size
    task, rng = build.task_from_config(config), np.random.default_rng(seed)
    batch = {
        "tiles": jnp.zeros((1, 1, size, size, 3)),
        "tile_mask": jnp.ones((1, 1), bool),
        "tile_position": jnp.zeros((1, 1, 2), jnp.int32),
        "grid_shape": jnp.ones((1, 2), jnp.int32),
        "features": jnp.zeros((1, 1, 0)),
    }
    shapes = jax.eval_shape(model.init, jax.random.key(0), batch)

    def draw(path, leaf):
        values = rng.normal(size=leaf.shape) / max(1.0, np.prod(leaf.shape[:-1])) ** 0.5
        # Those near 1 do not amplify rounding from layer to layer.
        is_factor = path[-1].key in ("scale", "var")
        return (1 + abs(values) / 10 if is_factor else values).astype(np.float32)

    drawn = jax.tree_util.tree_map_with_path(draw, dict(shapes))
    variables = {"batch_stats": {}, **drawn}
    return Member(model, task, variables)
