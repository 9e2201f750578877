"""Networks that turn a tile into an embedding, and where their weights come from."""

from iqa_jax.models.encoders.mobilenet_v2 import MobileNetV2
from iqa_jax.models.encoders.shallow_cnn import ShallowCNN

ENCODERS = {"mobilenet_v2": MobileNetV2, "shallow_cnn": ShallowCNN}
