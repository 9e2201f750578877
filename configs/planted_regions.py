"""Where is it bad? Small tiles of the sample photos, a frozen encoder, labels of images only.

    python main.py --config=configs/planted_regions.py --workdir=runs/regions
"""

import ml_collections

from configs import gated_attention


def get_config() -> ml_collections.ConfigDict:
    config = gated_attention.get_config()
    config.data.manifest = "data/sample_photos/manifest.csv"
    config.tiles.size, config.tiles.stride = 64, 32
    config.model.norm_embeddings = True
    config.loss.tile_weight = 1.0
    config.optimizer.learning_rate, config.epochs = 1e-3, 30
    config.optimizer.decay, config.optimizer.weight_decay = "cosine", 30.0
    config.early_stopping.metric = ""
    return config
