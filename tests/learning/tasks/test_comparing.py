"""Scores that are learnt from pairs have a scale for the margin alone."""

import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.learning.tasks import TASKS
from small_tasks import make_task


@pytest.mark.parametrize("name", TASKS["ranking"])
def test_comparing_knows_pairs_and_the_scale_of_the_margin(name):
    narrow = make_task("ranking", name, minimum=20.0, maximum=80.0)
    # Pairs have no scale to keep to.
    np.testing.assert_allclose(narrow.predict(jnp.array([[-9.0], [0.5]]))[:, 0], [-220, 65])
    label, weight = jnp.array([[0, 0], [0, -1]]), jnp.ones(2)
    assert (narrow.loss(jnp.ones((2, 1)), label) == 0).all()
    # A tenth of the range is 0.2 of the output from -1 to 1.
    leads = jnp.array([0.0, 0.2, 0.4])
    logits = leads[:, None, None] * jnp.array([[1.0], [0.0]])
    batch = {"label": label, "weight": weight}
    losses = [narrow.batch_loss(lead, batch) for lead in logits]
    assert losses[0] > losses[1] >= losses[2]
    if name == "hinge":
        np.testing.assert_allclose(losses, [0.1, 0, 0], atol=1e-7)
