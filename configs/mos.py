"""Opinion scores on a frozen encoder, in the layout of LIVE In the Wild: columns path, mos.

    python main.py --config=configs/mos.py --config.data.manifest=live/manifest.csv \
        --workdir=runs/mos

On two cores four to seven minutes to embed 530 images (1.5 GB on disk), once for all seeds and
splits, then one to three. SRCC .82 on 530 images of LIVE In the Wild (median of ten 80/20 splits).
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.data.label_kind = "numeric"
    config.data.label_column = "mos"
    config.balanced_sampling = False
    config.tiles.edge = "shift"
    config.tiles.stride = 128
    config.model.pooling = "layers"
    config.model.trainable_layers = 0
    config.model.norm_embeddings = True
    config.model.kernel_ridge = True
    config.model.fusion = "mean_embedding"
    config.evaluation.fusion = "mean_embedding"
    config.bags.cached = True
    config.bags.copies = 4
    config.bags.tiles = 4
    config.batch_size = 16
    config.model.hidden_dim = 512
    config.loss.regression.plcc_weight = 0.3
    config.loss.tile_weight = 0.5
    config.optimizer.learning_rate = 1e-3
    config.epochs = 20
    config.optimizer.decay = "cosine"
    config.optimizer.weight_decay = 10.0
    # A few dozen images choose a checkpoint worse than the end of the schedule does.
    config.early_stopping.metric = ""
    return config
