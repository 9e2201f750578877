"""Embeddings in which photos of like quality are near; a linear probe fitted on them answers.

    python main.py --config=configs/contrastive.py --workdir=runs/contrastive
    python main.py --config=configs/contrastive.py --workdir=runs/triplet --config.loss.name=triplet

A classifier starts from its encoder with --config.model.weights=runs/contrastive.

On the sample photos: AUROC .968 on test, .961 on holdout (triplet: .893, .966), two unseen scenes
each; six minutes on two busy cores.
"""

import ml_collections

from configs import quickstart


def get_config() -> ml_collections.ConfigDict:
    config = quickstart.get_config()
    config.loss.name = "supcon"
    config.model.dropout = 0.2
    config.evaluation.fusion = config.model.fusion
    config.early_stopping.metric = "knn_auroc"
    return config
