"""A batch of embeddings of classes, some of it padding, and the losses that compare them."""

from functools import partial

import numpy as np

from iqa_jax.learning.contrastive_losses import semi_hard_triplet, supervised_contrastive

CLASSES, DIM = 4, 6
# The last class has one member; the rows after it are padding.
LABELS = np.array([0, 1, 0, 1, 2, 2, 0, 1, 2, 1, 0, 3, 1, 0])
IS_REAL = np.arange(len(LABELS)) < 12
LOSSES = {
    "supcon": partial(supervised_contrastive, temperature=0.1),
    "triplet": partial(semi_hard_triplet, margin=0.3),
}


def make_embeddings(seed=0, count=len(LABELS)):
    embeddings = np.random.default_rng(seed).normal(size=(count, DIM))
    # Some negatives nearer than positives, some farther: both branches of the mining.
    embeddings[:6] += 2 * np.eye(DIM)[LABELS[:6]]
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
