"""Opinion scores from a shallow network on 32² tiles, learnt from scratch: a baseline.

    python main.py --config=configs/shallow_cnn.py --config.data.manifest=live/manifest.csv \
        --workdir=runs/shallow_cnn

15 minutes on two cores for 425 images of LIVE In the Wild; SRCC .473 (.511 and .436 on two 80/20
splits, where configs/mos.py has .832 and .741). What deeper and pretrained encoders are worth shows
against it: `--mode=protocol` with the same seed and fractions draws the same splits for both.
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.data.label_kind = "numeric"
    config.data.label_column = "mos"
    config.balanced_sampling = False
    config.model.encoder = "shallow_cnn"
    config.model.weights = "none"
    config.model.pooling = "stages"
    config.tiles.size = 32
    config.tiles.stride = 32
    # An image is an example: its tiles are averaged before the head.
    config.bags.tiles = 64
    config.batch_size = 16
    config.model.fusion = "mean_embedding"
    config.evaluation.fusion = "mean_embedding"
    config.host.tiles_per_chunk = 1024
    # Contrast is looked at in luma alone.
    config.augment.hue_jitter = 0.0
    config.augment.saturation_jitter = 0.0
    config.loss.regression.plcc_weight = 0.3
    config.optimizer.learning_rate = 1e-3
    config.epochs = 30
    config.optimizer.decay = "cosine"
    config.early_stopping.metric = ""
    return config
