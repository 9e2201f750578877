"""Labels of images, many of whose tiles do not deserve them: small tiles, each an example.

    python main.py --mode=clean --config=configs/noisy_tiles.py --workdir=runs/noisy_tiles

What it finds and gains when labels are wrong, and costs when they are right: docs/figures.md.
"""

import ml_collections

from configs import planted_regions


def get_config() -> ml_collections.ConfigDict:
    config = planted_regions.get_config()
    config.tiles.stride = 64
    config.bags.tiles = 1
    config.loss.tile_weight = 0.0
    config.batch_size = 256
    config.epochs = 4
    return config
