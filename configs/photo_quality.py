"""A scorer of photographs: LIVE In the Wild, BIQ2021, and photographs degraded by known amounts.

    python -m input_pipeline.degraded_photos --manifest=biq2021/manifest.csv --least=0.75 \
        --output=degraded
    python main.py --config=configs/photo_quality.py --config.data.manifest=live/manifest.csv \
        --config.data.manifests.biq2021.path=biq2021/manifest.csv \
        --config.data.manifests.degraded.path=degraded/manifest.csv --workdir=runs/photo_quality
"""

import ml_collections

from configs import biq2021, default


def get_config() -> ml_collections.ConfigDict:
    config = biq2021.get_config()
    config.data.maximum = 100.0
    # Twenty times the images, three times as often: half of every batch would be the same few
    # hundred images of LIVE In the Wild fifty times over.
    config.data.manifests.biq2021 = default.opinion_set(maximum=1.0, share=3.0)
    # What people photograph and show has no heavy noise, blocking or blur.
    config.data.manifests.degraded = default.opinion_set(maximum=1.0)
    config.balanced_sampling = True
    config.data.fractions = (0.8, 0.2, 0.0)
    # People saw pictures of 500 pixels: larger ones are brought down to that before they are cut.
    config.tiles.reference_side = 512
    config.uncertainty.ood_images = 200  # So that the scorer stays a small file.
    return config
