"""A few minutes on two cores: the seed recipe in small, on the sample photos.

make quickstart
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.data.manifest = "data/sample_photos/manifest.csv"
    config.tiles.size = 128
    config.tiles.stride = 128
    config.model.trainable_layers = 22
    config.epochs = 4
    config.optimizer.learning_rate = 3e-4
    config.checkpoint_every_steps = 50
    config.log_every_steps = 10
    return config
