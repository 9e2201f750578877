"""Kernel ridge regression says what scikit-learn's says, in the network too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge as Regression

from iqa_jax.analysis.kernel_ridge import fit_kernel_ridge
from iqa_jax.models.heads import TwoLayerHead
from iqa_jax.scoring.fitted.probe import with_probe


def make_images(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(count, 12)) * rng.uniform(0.1, 3, 12) + 5
    return embeddings, np.sin(embeddings[:, :1]) + embeddings[:, 1:2] / 9


def test_the_network_says_what_scikit_learn_says():
    (embeddings, outputs), (others, _) = make_images(60), make_images(9, seed=1)
    fitted = fit_kernel_ridge(embeddings, outputs)
    gamma = 0.2 / embeddings.var(axis=0).sum()
    regression = Regression(alpha=0.01, kernel="rbf", gamma=gamma)
    regression.fit(embeddings, outputs - outputs.mean())
    expected = regression.predict(others) + outputs.mean()

    head = TwoLayerHead(4, outputs=1, dropout=0.5, dtype=jnp.float32, begins_at_zero=False)
    variables = head.init(jax.random.key(0), jnp.zeros((1, 12)))
    alone = head.apply(variables, jnp.array(others))
    arrays = with_probe({"params": {}}, fitted)["kernel_ridge"]["head"]
    both = head.apply({**variables, "kernel_ridge": arrays}, jnp.array(others))
    np.testing.assert_allclose(2 * both - alone, expected, rtol=1e-3, atol=1e-3)
    # Tiles of bags are asked as bags are.
    bags = head.apply({**variables, "kernel_ridge": arrays}, jnp.array(others.reshape(3, 3, 12)))
    np.testing.assert_allclose(bags.reshape(9, 1), both, rtol=1e-5, atol=1e-5)


def test_the_scale_of_the_embeddings_changes_no_answer():
    embeddings, outputs = make_images(40)
    one, other = fit_kernel_ridge(embeddings, outputs), fit_kernel_ridge(50 * embeddings, outputs)
    np.testing.assert_allclose(one.dual, other.dual, rtol=1e-5)
    assert float(other.gamma) == pytest.approx(float(one.gamma) / 2500)


@pytest.mark.parametrize("embeddings", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((4, 3))])
def test_images_that_do_not_differ_are_refused(embeddings):
    with pytest.raises(ValueError, match="images that differ"):
        fit_kernel_ridge(embeddings, np.zeros((len(embeddings), 1)))
