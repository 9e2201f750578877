"""How far an update goes: the schedules, and the encoder's share."""

import jax.numpy as jnp
import numpy as np
import optax
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


PARAMS = {
    ("encoder", "layer_00", "kernel"): jnp.ones((2, 2)),
    ("encoder", "layer_00", "scale"): jnp.ones(2),
    ("head", "kernel"): jnp.ones((2, 2)),
    ("head", "bias"): jnp.ones(2),
}


def update(gradient: float, **changes) -> dict[str, np.ndarray]:
    """Gives the first update of every parameter."""
    arguments = {
        "weight_decay": 0.0,
        "encoder_factor": 1.0,
        "gradient_clip": 5.0,
    }
    optimizer = make_optimizer(lambda step: 0.01, **arguments | changes)
    gradients = {path: jnp.full_like(leaf, gradient) for path, leaf in PARAMS.items()}
    updates, _ = optimizer.update(gradients, optimizer.init(PARAMS), PARAMS)
    return {"/".join(path): np.asarray(leaf).ravel()[0] for path, leaf in updates.items()}


def test_the_encoder_goes_its_share_of_the_way():
    whole = update(0.1)
    quarter = update(0.1, encoder_factor=0.25)
    for name, value in whole.items():
        share = 0.25 if name.startswith("encoder") else 1
        assert quarter[name] == pytest.approx(share * value, rel=1e-6)
        assert value != 0


def test_kernels_decay_each_by_its_own_rate_and_nothing_else_does():
    moved = update(0.0, weight_decay=2.0)
    assert moved == {
        "encoder/layer_00/kernel": pytest.approx(-0.01 * 1e-3),
        "encoder/layer_00/scale": 0,
        "head/kernel": pytest.approx(-0.01 * 2.0),
        "head/bias": 0,
    }


def test_it_is_adamw():
    ours = update(0.1, weight_decay=0.3)
    adamw = optax.adamw(0.01, weight_decay=0.3)
    params = {"kernel": jnp.ones((2, 2))}
    theirs, _ = adamw.update({"kernel": jnp.full((2, 2), 0.1)}, adamw.init(params), params)
    assert ours["head/kernel"] == pytest.approx(float(theirs["kernel"][0, 0]), rel=1e-6)
