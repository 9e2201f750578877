"""The built-in scorer: what `photo_quality` has learnt, and that a ruined picture is a bad one.

    python -m input_pipeline.degraded_photos --manifest=biq2021/manifest.csv --least=0.75 \
        --output=degraded
    python main.py --config=configs/photo_scorer.py --config.data.manifest=live/manifest.csv \
        --config.data.manifests.biq2021.path=biq2021/manifest.csv \
        --config.data.manifests.degraded.path=degraded/manifest.csv \
        --config.model.weights=runs/photo_quality --workdir=runs/photo_scorer

People photograph and show few pictures with heavy noise, blocking or blur: a scorer that has seen
only theirs finds a picture blurred beyond recognition rather good.
"""

import ml_collections

from configs import default, photo_quality


def get_config() -> ml_collections.ConfigDict:
    config = photo_quality.get_config()
    config.data.manifests.degraded = default.opinion_set(maximum=1.0)
    config.model.trainable_layers = 40
    # Details and the whole picture: tiles of the image as it is, and of the image at half its size.
    config.tiles.random_scales = (0.5,)
    config.tta.scales = (0.5,)
    config.epochs = 0.4
    config.optimizer.learning_rate = 1e-4
    return config
