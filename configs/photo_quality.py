"""A scorer of photographs from two sets of opinion scores: LIVE In the Wild and BIQ2021.

    python main.py --config=configs/photo_quality.py --config.data.manifest=live/manifest.csv \
        --config.data.manifests.biq2021.path=biq2021/manifest.csv --workdir=runs/photo_quality
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.data.label_kind = "numeric"
    config.data.label_column = "mos"
    config.data.manifests.biq2021 = default.opinion_set(maximum=1.0)
    # Half of every batch is from either set, of which one has twenty times the images.
    config.balanced_sampling = True
    # No checkpoint is chosen: what `val` then fits holds what it promises.
    config.data.fractions = (0.8, 0.2, 0.0)
    config.early_stopping.metric = ""
    # People saw pictures of 500 pixels: larger ones are brought down to that before they are cut.
    config.tiles.reference_side = 512
    config.uncertainty.ood_images = 200  # So that the scorer stays a small file.
    config.model.pooling = "last"
    config.model.norm_statistics = "running"
    config.model.hidden_dim = 0
    config.model.dropout = 0.0
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
