"""How far an update goes: the schedules, and the encoder's share."""

import jax.numpy as jnp
import numpy as np
import pytest

from iqa_jax.learning.optimizer import cosine_decay, make_optimizer, step_decay


def test_steps_warm_up_then_fall_every_so_often():
    schedule = step_decay(1.0, warmup_steps=4, decay_factor=0.5, decay_every_steps=3)
    rates = [float(schedule(step)) for step in range(12)]
    assert rates == [0.25, 0.5, 0.75, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_cosine_warms_up_then_falls_to_nothing():
    schedule = cosine_decay(2.0, warmup_steps=4, total_steps=12)
    rates = [float(schedule(step)) for step in range(14)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4] == pytest.approx(2.0)
    assert rates[8] == pytest.approx(1.0)
    assert rates[6] + rates[10] == pytest.approx(2.0)
    assert rates[12] == rates[13] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("schedule", [step_decay(0.3, 0, 0.5, 100), cosine_decay(0.3, 0, 10**9)])
def test_without_warm_up_the_first_step_is_at_the_peak(schedule):
    assert float(schedule(0)) == pytest.approx(0.3)


def test_the_encoder_goes_its_share_of_the_way():
    params = {("encoder", "layer_00", "kernel"): jnp.ones((2, 2)), ("head", "bias"): jnp.ones(2)}
    gradients = {path: jnp.full_like(leaf, 0.1) for path, leaf in params.items()}

    def update(factor):
        optimizer = make_optimizer(lambda step: 0.01, 0.1, 5.0, factor)
        updates, _ = optimizer.update(gradients, optimizer.init(params), params)
        return [np.asarray(leaf) for leaf in updates.values()]

    encoder, head = update(1.0)
    quarter_encoder, quarter_head = update(0.25)
    np.testing.assert_allclose(quarter_encoder, encoder / 4, rtol=1e-6)
    np.testing.assert_array_equal(quarter_head, head)
    assert np.all(encoder != 0)
