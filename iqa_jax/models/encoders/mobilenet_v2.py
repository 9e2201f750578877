"""The MobileNetV2 tile encoder, with torchvision's arithmetic."""

import re
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iqa_jax.models.encoders.encoder import WITHIN_BLOCKS, Encoder
from iqa_jax.models.layers.convolution import ConvolutionNorm
from iqa_jax.models.layers.drop_block import drop_block

# expansion, channels, blocks, stride of the first block: table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# Stages whose output DropBlock thins: the deep ones, as in the paper's ResNets.
DROP_BLOCK_STAGES = (5, 6)
LAYER_COUNT = 52
_LAYER_NAME = re.compile(r"layer_(\d\d)")


def round_channels(channels: float) -> int:
    """Rounds to a multiple of 8, never more than a tenth down.

    Source:
        `_make_divisible` of torchvision, from the paper's own code.
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def embedding_dim(width_multiplier: float) -> int:
    """Gives the length of an embedding: 1280, and more above width 1."""
    return round_channels(1280 * max(1.0, width_multiplier))


def layer_index(path: Sequence[str]) -> int | None:
    """Finds the convolution a variable belongs to.

    Args:
        path: names from the root of a variable tree to a leaf, as `flatten_dict` gives them, e.g.
            `("encoder", "layer_07", "scale")`.

    Returns:
        0 (the stem) to 51 (the last convolution) in forward order; a BatchNorm has the number of
        its convolution. None for variables outside the encoder.
    """
    for name in path:
        if match := _LAYER_NAME.fullmatch(name):
            return int(match.group(1))
    return None


def is_trainable(path: Sequence[str], trainable_layers: int | None) -> bool:
    """Says whether a parameter trains when only the last convolutions do.

    Args:
        path: as in `layer_index`; everything outside the encoder trains.
        trainable_layers: how many convolutions train, counted from the last; None for all.
    """
    index = layer_index(path)
    return index is None or index >= first_trainable_layer(trainable_layers)


def first_trainable_layer(trainable_layers: int | None) -> int:
    """Gives the number of the first convolution that trains; `LAYER_COUNT` where none does.

    Raises:
        ValueError: the encoder has no such number of convolutions.
    """
    if trainable_layers is None:
        return 0
    if not 0 <= trainable_layers <= LAYER_COUNT:
        raise ValueError(
            f"trainable_layers is {trainable_layers}; MobileNetV2 has {LAYER_COUNT} convolutions: "
            f"give 0 (all frozen) to {LAYER_COUNT}, or None for all."
        )
    return LAYER_COUNT - trainable_layers


class MobileNetV2(Encoder):
    """The pretrained encoder; with width 1 it takes torchvision's ImageNet weights.

    Attributes:
        width_multiplier: scales every channel count.
        trainable_layers: how many convolutions train, counted from the last; None for all. The
            others use and keep their running BatchNorm statistics even in training.
        drop_block_size: side of DropBlock's squares, in units of the feature map; 0: it is off.
        drop_block_keep: share of units that it keeps once ramped up, in (0, 1]; below 1 it needs
            the rng "dropout" in training.

    Source:
        Sandler et al. 2018, arXiv 1801.04381; torchvision `mobilenet_v2`.
    """

    width_multiplier: float
    trainable_layers: int | None
    drop_block_size: int
    drop_block_keep: float

    def features(
        self,
        images: Float[Array, "n height width 3"],
        mask: Bool[Array, " n"] | None = None,
        train: bool = False,
        drop_progress: float | Float[Array, ""] = 1.0,
    ) -> Float[Array, "n rows columns dim"]:
        """Gives the last feature map, 1/32 of the image on each side.

        Args:
            As `__call__`.
        """
        return self.feature_maps(images, mask, train, drop_progress)[-1]

    @nn.compact
    def feature_maps(
        self,
        images: Float[Array, "n height width 3"],
        mask: Bool[Array, " n"] | None = None,
        train: bool = False,
        drop_progress: float | Float[Array, ""] = 1.0,
    ) -> list[Float[Array, "n _ _ _"]]:
        """Gives the output of every block and the last feature map.

        The poolings `WITHIN_BLOCKS` also get what each block's depthwise convolution gives: there
        six times as many channels, cut at 0 and 6, hold what the narrow output has mixed.

        Args:
            As `__call__`.
        """
        maps = []
        first_trainable = first_trainable_layer(self.trainable_layers)
        layer_number = 0
        x = jnp.asarray(images, self.dtype)
        is_real = jnp.ones(x.shape[:1], bool) if mask is None else mask

        def layer(x, channels, kernel_size=1, stride=1, is_depthwise=False, is_cut=True):
            nonlocal layer_number
            module = ConvolutionNorm(
                channels=channels,
                kernel_size=kernel_size,
                stride=stride,
                is_depthwise=is_depthwise,
                is_cut=is_cut,
                dtype=self.dtype,
                axis_name=self.axis_name,
                name=f"layer_{layer_number:02d}",
            )
            is_batch = self.norm_statistics == "batch"
            train_layer = train and is_batch and layer_number >= first_trainable
            layer_number += 1
            return module(x, is_real, train_layer)

        x = layer(x, round_channels(32 * self.width_multiplier), kernel_size=3, stride=2)
        for stage, (expansion, base_channels, blocks, first_stride) in enumerate(STAGES):
            channels = round_channels(base_channels * self.width_multiplier)
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                inputs, hidden = x, expansion * x.shape[-1]
                if expansion > 1:
                    x = layer(x, hidden)
                x = layer(x, hidden, kernel_size=3, stride=stride, is_depthwise=True)
                if self.pooling in WITHIN_BLOCKS:
                    maps.append(x)
                x = layer(x, channels, is_cut=False)
                if stride == 1 and inputs.shape == x.shape:
                    x = x + inputs
                maps.append(x)
            is_dropping = self.drop_block_size > 0 and self.drop_block_keep < 1
            if train and is_dropping and stage in DROP_BLOCK_STAGES:
                keep = 1.0 - (1.0 - self.drop_block_keep) * drop_progress
                x = drop_block(x, self.make_rng("dropout"), keep, self.drop_block_size)
        return [*maps, layer(x, embedding_dim(self.width_multiplier))]
