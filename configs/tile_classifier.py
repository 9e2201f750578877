"""Binary classifier per 256² tile on ImageNet features: the recipe most people start with.

    python main.py --config=configs/tile_classifier.py --workdir=runs/tiles \
        --config.data.manifest=photos/manifest.csv

configs/quickstart.py is the same in small, with its figures in the README.
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.model.trainable_layers = 22
    config.tiles.edge_sum_min = 256
    return config
