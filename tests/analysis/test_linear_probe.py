"""The linear probe is scikit-learn's logistic regression."""

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from iqa_jax.analysis.linear_probe import NEIGHBOURS, fit_probe

CLASSES, DIM = 4, 6


def make_blobs(count, classes, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    embeddings = np.random.default_rng(9).normal(size=(classes, DIM))[labels]
    embeddings = embeddings + rng.normal(size=(count, DIM))
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), labels


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("is_balanced", [True, False])
def test_the_probe_is_scikit_learns(classes, is_balanced):
    embeddings, labels = make_blobs(90, classes)
    embeddings, labels = embeddings[labels < 2 + (labels > 1)], labels
    keep = (labels != 1) | (np.arange(90) % 3 == 0)
    embeddings, labels = embeddings[keep], labels[keep]
    new, _ = make_blobs(20, classes, seed=1)
    probe = fit_probe(embeddings, labels, classes, is_balanced=is_balanced)
    weights = "balanced" if is_balanced else None
    regression = LogisticRegression(class_weight=weights, max_iter=1000).fit(embeddings, labels)
    found = jax.nn.softmax(new @ probe.kernel + probe.bias)
    np.testing.assert_allclose(found, regression.predict_proba(new), rtol=1e-4, atol=1e-5)
    neighbours = KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(embeddings, labels)
    np.testing.assert_allclose(probe.nearest_labels(new), neighbours.predict_proba(new))


def test_a_probe_without_a_class_is_refused():
    embeddings, labels = make_blobs(10, 2)
    with pytest.raises(ValueError, match="class 2 has none"):
        fit_probe(embeddings, labels, 3, is_balanced=True)
    # Fewer images than neighbours are asked for: all of them.
    probe = fit_probe(embeddings[:4], np.array([0, 0, 0, 1]), 2, is_balanced=True)
    np.testing.assert_allclose(probe.nearest_labels(embeddings[4:]), [[0.75, 0.25]] * 6)
