"""Kernel ridge regression: scikit-learn's numbers in the network, and answers that hang on it."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sklearn.kernel_ridge import KernelRidge as Regression

from iqa_jax.analysis.kernel_ridge import fit_kernel_ridge
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.models.heads import TwoLayerHead
from iqa_jax.modes.train import train
from iqa_jax.run import build
from iqa_jax.run.variables import restore_trained
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.embedding_cache import embeddings_from_config
from iqa_jax.scoring.fitted.probe import variables_from_config, with_probe


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


@pytest.mark.usefixtures("one_device")
def test_a_run_answers_with_the_mean_of_its_network_and_its_training_images(
    unsplit_config, tmp_path
):
    config, workdir = unsplit_config, Workdir(tmp_path / "run")
    table = pd.read_csv(config.data.manifest)
    table["label"] = np.linspace(10, 90, len(table))
    table.to_csv(config.data.manifest, index=False)
    config.data.label_kind, config.balanced_sampling = "numeric", False
    config.data.fractions, config.early_stopping.metric = (0.5, 0.0, 0.5), ""
    config.model.fusion = config.evaluation.fusion = "mean_embedding"
    config.model.norm_embeddings = config.model.kernel_ridge = True
    config.epochs = 1
    assert train(config, str(workdir.folder), "") == 0

    variables, _ = variables_from_config(workdir, config)
    alone, _ = restore_trained(workdir, config)
    manifest = build.manifest_from_config(config)
    source = build.source_from_config(config, manifest)
    evaluator = evaluator_from_config(
        config,
        manifest,
        source,
        workdir.features(),
        embeddings_from_config(config, variables, source),
    )
    fitted = {name: np.asarray(value) for name, value in variables["kernel_ridge"]["head"].items()}
    assert len(fitted["support"]) == len(manifest.split("train"))
    embeddings = [answer.embedding for answer in evaluator(alone, "train").answers]
    np.testing.assert_allclose(fitted["support"], embeddings, rtol=1e-4, atol=1e-4)

    network, both = evaluator(alone, "test"), evaluator(variables, "test")
    embeddings = np.array([answer.embedding for answer in network.answers])
    distances = ((embeddings[:, None] - fitted["support"]) ** 2).sum(-1)
    theirs = 50 + 50 * (np.exp(-fitted["gamma"] * distances) @ fitted["dual"] + fitted["offset"])
    expected = (network.values("mean_embedding") + theirs) / 2
    np.testing.assert_allclose(both.values("mean_embedding"), expected, rtol=1e-3, atol=0.02)
    assert np.ptp(theirs) > 1 and np.ptp(network.values("mean_embedding") - theirs) > 0.1
    written = pd.read_csv(workdir.folder / "predictions_test.csv")["score"]
    np.testing.assert_allclose(written, both.values("mean_embedding")[:, 0], rtol=1e-4)

    (workdir.folder / "probe.npz").unlink()
    with pytest.raises(WorkdirError, match="start the command again that trains it"):
        variables_from_config(workdir, config)
