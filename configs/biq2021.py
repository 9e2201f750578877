"""Thousands of opinion scores, most of the encoder, in the layout of BIQ2021: columns path, mos.

    python main.py --config=configs/biq2021.py --config.data.manifest=biq2021/manifest.csv \
        --workdir=runs/biq2021
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.opinions_end_to_end()
    config.data.maximum = 1.0
    config.balanced_sampling = False
    # Details and the whole picture: tiles of the image as it is, and of the image at half its size.
    config.tiles.random_scales = (0.5,)
    config.tta.scales = (0.5,)
    # The first twelve see edges and colours, which ImageNet has taught them, and are those of the
    # largest maps: a step is quicker without them.
    config.model.trainable_layers = 40
    config.loss.regression.plcc_weight = 0.3
    return config
