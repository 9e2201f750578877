"""Filters of noisy labels are their papers' equations and find what was planted."""

import numpy as np
import pytest

from iqa_jax.analysis.label_noise import FILTERS, confidence_of

CLASSES = ("bad", "fair", "good")
ARGUMENTS = {"classes": CLASSES, "band": (0.2, 0.95), "keep_share": 0.7}


def planted(flipped: float, examples: int = 3000, seed: int = 0):
    """Gives probabilities of a model that knows a little, labels, and which of them are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, examples)
    logits = rng.normal(size=(examples, 3)) + 3.0 * np.eye(3)[true]
    # The model is shy of one class, as models are.
    logits[:, 1] -= 1.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    is_wrong = rng.random(examples) < flipped
    labels = np.where(is_wrong, (true + rng.integers(1, 3, examples)) % 3, true)
    return probabilities, labels, is_wrong


def is_dropped(name, probabilities, labels, **changes):
    reasons = FILTERS[name](probabilities, labels, **ARGUMENTS | changes)
    assert len(reasons) == len(labels) and all(isinstance(text, str) for text in reasons)
    return np.array([text != "" for text in reasons])


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("flipped", [0.1, 0.3])
def test_planted_wrong_labels_are_found(name, flipped):
    probabilities, labels, is_wrong = planted(flipped)
    found = is_dropped(name, probabilities, labels, keep_share=1 - flipped, band=(0.2, 1.0))
    precision, recall = (found & is_wrong).sum() / np.array([found.sum(), is_wrong.sum()])
    # Chance is a precision of `flipped`.
    assert precision > 0.7 and recall > 0.6


def test_confident_learning_is_the_equation_of_the_paper():
    probabilities, labels, _ = planted(0.2)
    thresholds = [probabilities[labels == k, k].mean() for k in range(3)]
    expected = []
    for row, label in zip(probabilities, labels, strict=True):
        confident = [k for k in range(3) if row[k] >= thresholds[k] - 1e-6]
        found = max(confident, key=lambda k: row[k]) if confident else label
        expected.append(found != label)
    found = is_dropped("confident_learning", probabilities, labels)
    np.testing.assert_array_equal(found, expected)
    # A threshold for all classes would be another rule.
    assert (found != (probabilities.argmax(axis=1) != labels)).any()


def test_its_reason_names_the_class_and_both_figures():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.95, 0.05]])
    reasons = FILTERS["confident_learning"](
        probabilities, np.array([0, 0, 1, 1, 1]), classes=("bad", "good")
    )
    # Means: bad (.9 + .8) / 2 = .85; good (.7 + .9 + .05) / 3 = .55.
    assert reasons == [""] * 4 + ["bad with 0.95, at or above its mean of 0.85"]


def test_the_band_keeps_its_ends():
    confidence = np.array([0.1, 0.2, 0.5, 0.95, 0.96])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    reasons = FILTERS["band"](probabilities, np.zeros(5, int), **ARGUMENTS)
    assert reasons == ["confidence below 0.2", "", "", "", "confidence above 0.95"]


def test_small_loss_keeps_the_same_share_of_every_class():
    probabilities, labels, _ = planted(0.2)
    found = is_dropped("small_loss", probabilities, labels)
    confidence = confidence_of(probabilities, labels)
    for number in range(3):
        own = labels == number
        assert found[own].mean() == pytest.approx(0.3, abs=1e-3)
        assert confidence[own & found].max() <= confidence[own & ~found].min()
    assert not is_dropped("small_loss", probabilities, labels, keep_share=1.0).any()
    # However small the share, a class keeps an example.
    nearly_all = is_dropped("small_loss", probabilities, labels, keep_share=1e-6)
    assert np.bincount(labels[~nearly_all]).tolist() == [1, 1, 1]
