"""Opinion scores, the encoder's last layers too: goes on where configs/mos.py ended.

    python main.py --config=configs/mos.py --config.data.manifest=live/manifest.csv \
        --workdir=runs/mos
    python main.py --config=configs/mos_finetune.py --config.data.manifest=live/manifest.csv \
        --config.model.weights=runs/mos --workdir=runs/mos_finetune

Two such runs at once take 13 minutes on two cores, with 425 images. So few hardly pay: over ten
splits of LIVE In the Wild SRCC .821 on average, where configs/mos.py has .816 (docs/figures.md).
"""

import ml_collections

from configs import mos


def get_config() -> ml_collections.ConfigDict:
    config = mos.get_config()
    # A head that has learnt spares the encoder the gradients of one that has not.
    config.model.weights, config.model.weights_of = "runs/mos", "all"
    config.model.trainable_layers, config.model.norm_statistics = 22, "running"
    config.bags.cached, config.bags.copies, config.batch_size = False, 1, 8
    config.augment.hue_jitter = config.augment.saturation_jitter = 0.0
    config.augment.flip_vertical = False
    config.optimizer.learning_rate, config.epochs = 1e-4, 4
    config.optimizer.encoder_factor, config.optimizer.weight_decay = 0.5, 1.0
    config.optimizer.ema_decay, config.optimizer.start_share = 0.995, 0.5
    config.tta.shifts = 2
    return config
