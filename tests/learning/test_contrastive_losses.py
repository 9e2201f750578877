"""Losses of embeddings against plain loops."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contrastive_batch import CLASSES, IS_REAL, LABELS, LOSSES, make_embeddings
from iqa_jax.learning.contrastive_losses import (
    near_level,
    same_class,
    supervised_contrastive,
)

SIMILARITIES = {"classes": same_class, "levels": near_level}


def similarity_by_hand(kind, a, b):
    return float(a == b) if kind == "classes" else 1 - abs(a - b) / (CLASSES - 1)


def supcon_by_hand(embeddings, labels, kind, temperature):
    """One anchor and one positive at a time, in double precision."""
    losses = []
    for i, anchor in enumerate(embeddings):
        others = [j for j in range(len(labels)) if j != i]
        logits = [anchor @ embeddings[j] / temperature for j in others]
        highest = max(logits)
        normaliser = highest + np.log(sum(np.exp(logit - highest) for logit in logits))
        alike = [similarity_by_hand(kind, labels[i], labels[j]) for j in others]
        loss = 0.0
        for weight, logit in zip(alike, logits, strict=True):
            loss += weight * (normaliser - logit)
        losses.append(loss / sum(alike) if sum(alike) else 0.0)
    return np.array(losses)


def triplet_by_hand(embeddings, labels, kind, margin):
    """One anchor, one positive and one negative at a time."""
    losses = []
    for i, anchor in enumerate(embeddings):
        found = []
        for p in range(len(labels)):
            if p == i:
                continue
            alike = similarity_by_hand(kind, labels[i], labels[p])
            near = ((anchor - embeddings[p]) ** 2).sum()
            semi_hard, others = [], []
            for n in range(len(labels)):
                gap = alike - similarity_by_hand(kind, labels[i], labels[n])
                if n == i or gap <= 0:
                    continue
                far = ((anchor - embeddings[n]) ** 2).sum()
                (semi_hard if far > near else others).append(near - far + margin * gap)
            if semi_hard or others:
                found.append(max(0.0, max(semi_hard) if semi_hard else min(others)))
        losses.append(sum(found) / len(found) if found else 0.0)
    return np.array(losses)


@pytest.mark.parametrize("kind", SIMILARITIES)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_a_plain_loop(name, kind):
    embeddings, labels = make_embeddings()[IS_REAL], LABELS[IS_REAL]
    by_hand = {
        "supcon": partial(supcon_by_hand, temperature=0.1),
        "triplet": partial(triplet_by_hand, margin=0.3),
    }[name](embeddings, labels, kind)
    similarity = SIMILARITIES[kind](jnp.array(labels), CLASSES)
    found = LOSSES[name](jnp.array(embeddings), similarity, jnp.ones(len(labels), bool))
    np.testing.assert_allclose(found, by_hand, rtol=2e-4, atol=1e-6)
    assert (by_hand > 0).sum() > 6 and np.ptp(by_hand) > 0.1
    if kind == "classes":
        assert by_hand[11] == 0  # Alone in its class.


def test_both_branches_of_the_mining_are_tested():
    embeddings = make_embeddings()[IS_REAL]
    distance = ((embeddings[:, None] - embeddings) ** 2).sum(-1)
    labels = LABELS[IS_REAL]
    has_farther = [
        (distance[i] > distance[i, p])[labels != labels[i]].any()
        for i, p in zip(*np.nonzero(labels[:, None] == labels), strict=True)
        if i != p
    ]
    assert any(has_farther) and not all(has_farther)


@pytest.mark.parametrize("temperature", [1e-3, 0.1, 100.0])
def test_any_temperature_is_stable(temperature):
    embeddings, labels = make_embeddings()[IS_REAL], LABELS[IS_REAL]
    similarity, is_real = same_class(jnp.array(labels), CLASSES), jnp.ones(12, bool)

    def loss(embeddings):
        return supervised_contrastive(embeddings, similarity, is_real, temperature)

    expected = supcon_by_hand(embeddings, labels, "classes", temperature)
    single = jnp.array(embeddings, jnp.float32)
    np.testing.assert_allclose(loss(single), expected, rtol=1e-3, atol=1e-3)
    assert jnp.isfinite(jax.grad(lambda e: loss(e).sum())(single)).all()
