"""Thousands of opinion scores, most of the encoder, in the layout of BIQ2021: columns path, mos.

    python main.py --config=configs/biq2021.py --config.data.manifest=biq2021/manifest.csv \
        --workdir=runs/biq2021
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.data.label_kind = "numeric"
    config.data.label_column = "mos"
    config.data.maximum = 1.0
    config.balanced_sampling = False
    # No checkpoint is chosen: what `val` then fits holds what it promises.
    config.early_stopping.metric = ""
    # Details and the whole picture: tiles of the image as it is, and of the image at half its size.
    config.tiles.random_scales = (0.5,)
    config.tta.scales = (0.5,)
    # The first twelve see edges and colours, which ImageNet has taught them; a step takes half as
    # long without them.
    config.model.trainable_layers = 40
    config.model.pooling = "last"
    config.model.norm_statistics = "running"
    config.model.hidden_dim = 0
    config.model.dropout = 0.0
    config.loss.regression.plcc_weight = 0.3
    config.augment.hue_jitter = 0.0
    config.augment.saturation_jitter = 0.0
    config.augment.flip_vertical = False
    config.batch_size = 16
    config.epochs = 1
    config.optimizer.learning_rate = 2e-4
    config.optimizer.warmup_epochs = 0.05
    config.optimizer.decay = "cosine"
    config.optimizer.ema_decay = 0.995
    return config
