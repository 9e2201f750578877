"""A shallow encoder of small tiles, learnt from scratch: local contrast, two convolutions, pooling.

It stands for the networks that came before pretrained ones: a shallow network finds perceptual
features in small patches and a small regressor (here the head) makes a score of them, as in the
hybrid of Kottayil et al. 2016. How that one is built could not be looked up, so no figure of this
one is a figure of theirs. That the input is contrast-normalised luma and the first kernels are 7
pixels wide is as in Kang et al. 2014, "Convolutional Neural Networks for No-Reference Image Quality
Assessment", who pool the extremes of one convolution; here it is mean and deviation of two.
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from iqa_jax.models.encoders.encoder import Encoder
from iqa_jax.models.layers.convolution import ConvolutionNorm

CHANNELS = (32, 64)
# RGB in units of its ImageNet deviation -> luma from 0 to 255, but for a constant.
_LUMA = 255 * np.array([0.299, 0.587, 0.114]) * np.array([0.229, 0.224, 0.225])
_RADIUS, _SIGMA = 3, 7 / 6


def normalise_contrast(
    images: Float[Array, "n height width 3"],
) -> Float[Array, "n height width 1"]:
    """Gives the mean-subtracted contrast-normalised luma, the picture mirrored at its border.

    Args:
        images: RGB minus its mean, by its deviation, both of ImageNet.

    Source:
        Mittal, Moorthy and Bovik 2012 (BRISQUE); the same as `input_pipeline.tiles.nss`.
    """
    luma = images.astype(jnp.float32) @ jnp.array(_LUMA, jnp.float32)
    # Numbers near 0 keep the difference of squares below exact.
    luma = luma - luma.mean(axis=(1, 2), keepdims=True)
    mean = _blur(luma)
    variance = _blur(luma**2) - mean**2
    # The root has a finite slope on flat areas.
    return ((luma - mean) / (jnp.sqrt(jnp.maximum(variance, 0) + 1e-6) + 1))[..., None]


def _blur(luma: Float[Array, "n height width"]) -> Float[Array, "n height width"]:
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    kernel = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    for axis in (1, 2):
        ends = [(0, 0)] * 3
        ends[axis] = (_RADIUS, _RADIUS)
        padded, length = jnp.pad(luma, ends, mode="reflect"), luma.shape[axis]
        parts = [
            weight * jnp.take(padded, jnp.arange(start, start + length), axis=axis)
            for start, weight in enumerate(kernel)
        ]
        luma = jnp.asarray(sum(parts))
    return luma


class ShallowCNN(Encoder):
    """Encodes small tiles as embeddings; all of it trains, and contrast is measured in float32."""

    @nn.compact
    def feature_maps(
        self,
        images: Float[Array, "n height width 3"],
        mask: Bool[Array, " n"] | None = None,
        train: bool = False,
        drop_progress: float | Float[Array, ""] = 1.0,
    ) -> list[Float[Array, "n _ _ _"]]:
        """Gives the outputs of both convolutions, at 1/2 and 1/4 of the image's side.

        Args:
            As `Encoder`; there is no DropBlock.
        """
        mask = jnp.ones(images.shape[:1], bool) if mask is None else mask
        x, maps = normalise_contrast(images).astype(self.dtype), []
        for number, channels in enumerate(CHANNELS):
            layer = ConvolutionNorm(
                channels=channels,
                kernel_size=7 if number == 0 else 3,
                stride=2,
                dtype=self.dtype,
                axis_name=self.axis_name,
                name=f"layer_{number:02d}",
            )
            x = layer(x, mask, train and self.norm_statistics == "batch")
            maps.append(x)
        return maps
