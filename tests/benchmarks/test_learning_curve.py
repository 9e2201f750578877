"""The curve's regression answers as scikit-learn's does, and more labels are worth more."""

import numpy as np
from sklearn.kernel_ridge import KernelRidge

from benchmarks.learning_curve import answer, srcc_of
from iqa_jax.analysis.kernel_ridge import fit_kernel_ridge


def test_the_regression_answers_as_the_library_does():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(30, 5)), rng.normal(size=(7, 5))
    scores = 3 + train[:, 0] ** 2
    fitted = fit_kernel_ridge(train, scores[:, None])
    peer = KernelRidge(alpha=0.01, kernel="rbf", gamma=float(fitted.gamma))
    expected = peer.fit(train, scores - scores.mean()).predict(test) + scores.mean()
    np.testing.assert_allclose(answer(fitted, test), expected, rtol=1e-4)


def test_more_labels_are_worth_more_and_the_test_images_stay():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(200, 4))
    scores = embeddings[:, 0] + 0.5 * np.sin(2 * embeddings[:, 1])
    few, many = (srcc_of(embeddings, scores, count, seed=1) for count in (10, 160))
    assert few < many - 0.1 and many > 0.95
    # A fifth is tested on: what the other labels say beyond those used changes nothing.
    order = np.random.default_rng(1).permutation(200)
    spoilt = scores.copy()
    spoilt[order[40 + 10 :]] = 0
    assert srcc_of(embeddings, spoilt, 10, seed=1) == few
