"""A model of two layers and batches for it: deep ones amplify rounding until nothing compares."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from iqa_jax.models.fusions import FUSIONS
from iqa_jax.models.heads import TwoLayerHead
from iqa_jax.models.layers.convolution import ConvolutionNorm
from iqa_jax.models.quality_model import QualityModel

NO_AUGMENTATION = {
    "flip_horizontal": False,
    "flip_vertical": False,
    "hue_jitter": 0.0,
    "saturation_jitter": 0.0,
}


class ShallowEncoder(nn.Module):
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    norm_statistics: str = "batch"

    @nn.compact
    def __call__(self, images, mask=None, train=False, progress=1.0):
        mask = jnp.ones(images.shape[:1], bool) if mask is None else mask
        train = train and self.norm_statistics == "batch"
        arguments = {"dtype": self.dtype, "axis_name": self.axis_name}
        x = ConvolutionNorm(8, 3, 2, name="layer_50", **arguments)(images, mask, train)
        x = ConvolutionNorm(8, 3, 2, True, name="layer_51", **arguments)(x, mask, train)
        return x.mean(axis=(1, 2))


def make_model(
    dtype=jnp.float32, axis_name=None, encoder_norm="batch", tiles_per_chunk=0, dropout=0.0
) -> QualityModel:
    return QualityModel(
        encoder=ShallowEncoder(dtype, axis_name, encoder_norm),
        fusion=FUSIONS["mean_embedding"](),
        head=TwoLayerHead(8, outputs=2, dropout=dropout, dtype=dtype, begins_at_zero=False),
        embedding_norm=None,
        tiles_per_chunk=tiles_per_chunk,
        set_scales=None,
    )


def make_variables():
    batch = {key: jnp.asarray(value) for key, value in make_batch(1).items()}
    batch["tiles"] = batch["tiles"].astype(jnp.float32) / 255
    return jax.jit(make_model().init)(jax.random.key(0), batch)


def make_batch(examples: int, tiles: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "tiles": rng.integers(0, 256, (examples, tiles, 16, 16, 3), dtype=np.uint8),
        "tile_mask": np.ones((examples, tiles), bool),
        "tile_position": np.zeros((examples, tiles, 2), np.int32),
        "grid_shape": np.ones((examples, 2), np.int32),
        "features": np.zeros((examples, tiles, 0), np.float32),
        "label": rng.integers(0, 2, examples).astype(np.int32),
        "mask": np.ones(examples, bool),
        "image_id": np.arange(examples, dtype=np.int32),
    }
