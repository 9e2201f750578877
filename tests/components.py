"""An encoder as the default config has it, with changes."""

import flax.linen as nn

from configs import default
from iqa_jax.run import build


def make_encoder(name: str = "mobilenet_v2", **changes) -> nn.Module:
    config = default.get_config()
    config.model.encoder = name
    return build.encoder_from_config(config).clone(**changes)
