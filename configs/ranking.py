"""Pretraining without labels: rank degraded versions of clean photographs, as RankIQA does.

    python main.py --config=configs/ranking.py --config.data.manifest=photos --workdir=runs/ranking
    python main.py --config=configs/mos.py --config.model.weights=runs/ranking \
        --config.data.manifest=live/manifest.csv --workdir=runs/mos

Seven minutes on two cores with 24 photographs of 512² pixels. Of pairs, .96 are ordered rightly on
four photographs never seen, and .996 with kinds of distortion never seen either.
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.data.label_kind = "ranking"
    config.balanced_sampling = False
    config.ranking.unseen_types = ("motion_blur", "webp", "multiplicative_noise", "dither")
    config.tiles.size = 128
    config.tiles.stride = 128
    config.augment.hue_jitter = 0.0
    config.augment.saturation_jitter = 0.0
    config.model.trainable_layers = 22
    config.model.pooling = "stages"
    # Statistics of the batch would tell a tile which others its group has.
    config.model.norm_statistics = "running"
    config.model.fusion = "mean_embedding"
    config.model.dropout = 0.0
    config.evaluation.fusion = "mean_embedding"
    config.batch_size = 48
    config.epochs = 15
    config.optimizer.learning_rate = 3e-4
    config.optimizer.decay = "cosine"
    config.early_stopping.metric = "pair_accuracy"
    config.evaluate_every_epochs = 5.0
    config.uncertainty.ood = "none"
    return config
