"""Opinion scores end to end: every layer learns, on random crops.

    python main.py --config=configs/mos_finetune.py --config.data.manifest=live/manifest.csv \
        --workdir=runs/mos
    python main.py --mode=predict --workdir=runs/mos --images=photos --output=scores.csv
"""

import ml_collections

from configs import mos


def get_config() -> ml_collections.ConfigDict:
    config = mos.get_config()
    config.bags.cached, config.bags.tiles = False, 1
    config.model.trainable_layers = -1
    config.model.fusion = "mean_embedding"
    config.evaluation.fusion = "mean_score"
    config.tiles.size, config.tiles.stride = 320, 90
    config.augment.hue_jitter = config.augment.saturation_jitter = 0.0
    config.augment.flip_vertical = False
    config.optimizer.learning_rate, config.epochs = 3e-4, 6
    return config
