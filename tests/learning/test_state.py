"""The state: the closed form of its average, and that what is parted is joined again."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from iqa_jax.learning.state import create_state, merge, partition
from iqa_jax.run import build
from iqa_jax.run.variables import initial_variables


def averages_of(sequence, decay: float, start: float = 9.0, share: float = 0.0) -> list[float]:
    """Gives what answers after each of some updates that make these values."""
    start = {"params": {"w": jnp.float32(start)}, "batch_stats": {"mean": -jnp.float32(start)}}
    state = create_state(start, optax.sgd(1.0), lambda path: True, decay, share)
    found = []
    for value in sequence:
        value = jnp.float32(value)
        state = state.advance(
            params={"w": value}, batch_stats={"mean": -value}, opt_state=state.opt_state
        )
        assert float(state.params["w"]) == float(value)
        found.append(float(state.variables["params"]["w"]))
        assert float(state.variables["batch_stats"]["mean"]) == pytest.approx(-found[-1])
    return found


@pytest.mark.parametrize("decay", [0.3, 0.9, 0.9999])
def test_the_average_is_its_closed_form(decay):
    sequence = np.random.default_rng(0).normal(size=40)
    expected = []
    for count in range(1, 41):
        weights = decay ** np.arange(count)[::-1]
        # Wherever training started is not in it, which is what bias correction is for.
        expected.append(weights @ sequence[:count] / weights.sum())
    np.testing.assert_allclose(averages_of(sequence, decay), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_start_has_its_share_of_the_answer_to_the_end(share):
    sequence = np.random.default_rng(0).normal(size=40)
    average = np.array(averages_of(sequence, 0.9, start=7.0))
    found = averages_of(sequence, 0.9, start=7.0, share=share)
    np.testing.assert_allclose(found, (1 - share) * average + share * 7.0, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("value", [0.1, 0.0, -0.0])
def test_what_does_not_move_is_its_own_average_bit_for_bit(value, share):
    found = np.float32(averages_of([value] * 30, 0.99, start=value, share=share))
    assert found.tobytes() == np.float32([value] * 30).tobytes()


def test_partition_and_merge_are_inverse(tiny_config):
    config = tiny_config
    params = initial_variables(config)["params"]
    for layers in (0, 5, 52):
        config.model.trainable_layers = layers
        halves = partition(params, build.is_trainable_from_config(config))
        assert not set(halves[0]) & set(halves[1])
        jax.tree.map(np.testing.assert_array_equal, merge(*halves), params)
