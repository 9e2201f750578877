"""A head that has run away gives scores beyond the scale; no answer of the run leaves it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default
from iqa_jax.learning.tasks import TASKS, Labels
from iqa_jax.learning.tasks.scoring import REGRESSIONS, keep_on_scale
from iqa_jax.run import build
from small_tasks import make_task

_RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", ["huber", "l1", "l2"])
def test_regression_keeps_the_scale(name):
    task = make_task("numeric", name, minimum=20.0, maximum=80.0)
    logits, label = jnp.array([[-0.8], [0.0], [0.5]]), jnp.array([26.0, 50.0, 65.0])
    np.testing.assert_allclose(task.predict(logits)[:, 0], label)
    np.testing.assert_allclose(task.target(label), logits)
    np.testing.assert_allclose(task.loss(logits, label), 0, atol=1e-6)
    assert task.loss(logits, label + 30).min() > 0
    assert task.batch_loss is None


def test_scores_keep_to_their_scale_by_golden_values():
    scores = jnp.array([50.0, 95.0, 97.5, 100.0, 105.0, 1000.0, -10.7, 0.0, 2.5, 5.0])
    expected = [50, 95, 290 / 3, 97.5, 295 / 3, 95 + 5 * 905 / 910, 5 - 5 * 15.7 / 20.7, 2.5,
                10 / 3, 5]  # fmt: skip
    np.testing.assert_allclose(keep_on_scale(scores, 0, 100), expected, rtol=1e-6)


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 100), (1, 5), (-3.7, 11.3), (0, 1)])
def test_scores_off_their_scale_keep_their_order_and_its_ends(minimum, maximum):
    width = maximum - minimum
    far = np.arange(minimum - 10 * width, maximum + 10 * width, width / 100, np.float32)
    kept = np.asarray(keep_on_scale(jnp.array(far), minimum, maximum))
    assert kept.dtype == np.float32 and (np.diff(kept) > 0).all()
    assert minimum < kept.min() and kept.max() < maximum
    inner = np.linspace(minimum + 0.0501 * width, maximum - 0.0501 * width, 999, dtype=np.float32)
    np.testing.assert_array_equal(keep_on_scale(jnp.array(inner), minimum, maximum), inner)
    farthest = keep_on_scale(jnp.array([-3e38, 3e38]), minimum, maximum)
    assert np.isfinite(farthest).all()
    # Both ends are alike, so a column in which lower is better gets the mirror image.
    mirrored = keep_on_scale(jnp.array(minimum + maximum - far), minimum, maximum)
    np.testing.assert_allclose(minimum + maximum - mirrored, kept, atol=1e-5 * width)


@pytest.mark.parametrize("name", ["huber", "l1", "l2"])
def test_the_loss_sees_what_lies_beyond_the_scale(name):
    task = make_task("numeric", name, minimum=20.0, maximum=80.0)
    logits, label = jnp.array([[2.0], [3.0]]), jnp.array([80.0, 80.0])
    assert (task.predict(logits) < 80).all()
    assert task.loss(logits, label)[1] > 1.5 * task.loss(logits, label)[0]


def test_the_plcc_term_is_added_to_a_loss_that_keeps_the_scale():
    task = make_task("numeric", "l2", plcc_weight=2.0)
    logits, label = jnp.array([[0.1], [0.2], [0.9]]), jnp.array([3.0, 4.0, 1.0])
    expected = 2 * (1 - np.corrcoef(logits[:, 0], label)[0, 1])
    batch = {"label": label, "weight": jnp.ones(3)}
    assert task.batch_loss(logits, batch) == pytest.approx(expected, rel=1e-5)
    shifted = task.batch_loss(0.1 * logits + 3, batch)
    assert shifted == pytest.approx(expected, rel=1e-4)
    assert task.loss(0.1 * logits + 3, label).sum() > task.loss(logits, label).sum() + 1


def test_scores_are_compared_within_their_set_alone():
    make = TASKS["numeric"]["l2"].make
    task = make(Labels(0, 1.0, 5.0, sets=2), plcc_weight=2.0)
    scores, label = _RNG.normal(size=9).astype(np.float32), _RNG.uniform(1, 5, 9)
    batch = {
        "label": jnp.array(label, jnp.float32),
        "set_id": jnp.array([0, 1, 0, 0, 1, 0, 1, 0, 0]),
        "weight": jnp.array([1.0, 1, 1, 1, 1, 1, 1, 1, 0]),  # The last one is masked.
    }
    first, second = [0, 2, 3, 5, 7], [1, 4, 6]
    plcc = [np.corrcoef(scores[rows], label[rows])[0, 1] for rows in (first, second)]
    expected = 2 * (5 * (1 - plcc[0]) + 3 * (1 - plcc[1])) / 8
    found = task.batch_loss(jnp.array(scores)[:, None], batch)
    assert found == pytest.approx(expected, rel=1e-5)
    # However far apart the sets' labels are.
    batch["label"] += 1.5 * batch["set_id"].astype(jnp.float32)
    moved = task.batch_loss(jnp.array(scores)[:, None], batch)
    assert moved == pytest.approx(expected, rel=1e-4)


def test_the_distribution_of_ratings_answers_with_its_mean():
    task = make_task("numeric", "emd")
    probabilities = jnp.array(_RNG.dirichlet(np.ones(9), size=4))
    found = task.predict(jnp.log(probabilities))[:, 0]
    np.testing.assert_allclose(found, probabilities @ np.linspace(1, 5, 9), rtol=1e-5)
    np.testing.assert_allclose(task.loss(jnp.log(probabilities), probabilities), 0, atol=1e-6)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_begins_in_the_middle_of_its_scale(name):
    config = default.get_config()
    config.data.label_kind, config.loss.name = "numeric", name
    head, task = build.model_from_config(config).head, build.task_from_config(config)
    embedding = jnp.array(_RNG.normal(size=(10, 3)))
    variables = head.init(jax.random.key(0), embedding)
    np.testing.assert_array_equal(task.predict(head.apply(variables, embedding)), 50)
    # All units of the hidden layer must not learn the same.
    assert jnp.ptp(variables["params"]["hidden"]["kernel"]) > 0.1
