"""A scorer of photographs from the opinion scores of LIVE In the Wild alone.

    python main.py --config=configs/photo_quality_live.py \
        --config.data.manifest=live/manifest.csv --workdir=runs/photo_quality_live

For those who need to know the licence of every picture that a scorer has learnt from.
"""

import ml_collections

from configs import biq2021


def get_config() -> ml_collections.ConfigDict:
    config = biq2021.get_config()
    config.data.maximum = 100.0
    config.data.fractions = (0.8, 0.2, 0.0)
    config.tiles.reference_side = 512
    config.uncertainty.ood_images = 200  # So that the scorer stays a small file.
    config.epochs = 3
    config.optimizer.warmup_epochs = 0.3
    config.optimizer.ema_decay = 0.99
    return config
