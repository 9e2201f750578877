"""A scorer of photographs from two sets of opinion scores: LIVE In the Wild and BIQ2021.

    python main.py --config=configs/photo_quality.py --config.data.manifest=live/manifest.csv \
        --config.data.manifests.biq2021.path=biq2021/manifest.csv --workdir=runs/photo_quality
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.opinions_end_to_end()
    config.data.manifests.biq2021 = default.opinion_set(maximum=1.0)
    # Half of every batch is from either set, of which one has twenty times the images.
    config.balanced_sampling = True
    config.data.fractions = (0.8, 0.2, 0.0)
    # People saw pictures of 500 pixels: larger ones are brought down to that before they are cut.
    config.tiles.reference_side = 512
    config.uncertainty.ood_images = 200  # So that the scorer stays a small file.
    return config
