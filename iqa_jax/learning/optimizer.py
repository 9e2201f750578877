"""AdamW with warm-up, a falling learning rate and clipping."""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import optax

from iqa_jax.learning.state import Path

Schedule = Callable[[jax.Array], jax.Array]
# Decay of the encoder's kernels, times its learning rate.
ENCODER_WEIGHT_DECAY = 1e-3


def step_decay(
    learning_rate: float, warmup_steps: int, decay_factor: float, decay_every_steps: int
) -> Schedule:
    """Makes the learning rate's schedule: linear warm-up, then a factor every so many steps.

    Args:
        learning_rate: the peak, reached at the last step of the warm-up.
        warmup_steps: 0 or more.
        decay_factor: in (0, 1].
        decay_every_steps: 1 or more, counted from the end of the warm-up.

    Returns:
        Step (updates completed) to learning rate.
    """

    def schedule(step):
        decays = jnp.maximum(step - warmup_steps, 0) // decay_every_steps
        factor = decay_factor ** decays.astype(jnp.float32)
        return learning_rate * _warmup(step, warmup_steps) * factor

    return schedule


def cosine_decay(learning_rate: float, warmup_steps: int, total_steps: int) -> Schedule:
    """Makes the learning rate's schedule: linear warm-up, then half a cosine down to 0.

    Args:
        learning_rate: the peak, reached at the last step of the warm-up.
        warmup_steps: 0 or more.
        total_steps: of the run; the rate is 0 once they are done.

    Returns:
        Step (updates completed) to learning rate.

    Source:
        Loshchilov and Hutter 2017 (SGDR), eq. 5 without restarts.
    """

    def schedule(step):
        done = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
        cosine = (1 + jnp.cos(jnp.pi * jnp.clip(done, 0, 1))) / 2
        return learning_rate * _warmup(step, warmup_steps) * cosine

    return schedule


def _warmup(step: jax.Array | int, steps: int) -> jax.Array | float:
    return jnp.minimum((step + 1) / steps, 1.0) if steps else 1.0


def make_optimizer(
    schedule: Schedule,
    *,
    weight_decay: float,
    encoder_factor: float,
    gradient_clip: float,
) -> optax.GradientTransformation:
    """Makes AdamW behind clipping by global norm; biases and BatchNorm are not decayed.

    Args:
        schedule: of the learning rate.
        weight_decay: of the kernels of fusion and head, times the learning rate; the encoder's have
            `ENCODER_WEIGHT_DECAY`.
        encoder_factor: the encoder's learning rate, relative to the schedule.
        gradient_clip: largest global norm.
    """

    def is_encoder(params: Mapping[Path, jax.Array]) -> dict[Path, bool]:
        return {path: path[0] == "encoder" for path in params}

    def is_kernel(params: Mapping[Path, jax.Array], of_encoder: bool) -> dict[Path, bool]:
        return {
            path: leaf.ndim > 1 and (path[0] == "encoder") == of_encoder
            for path, leaf in params.items()
        }

    return optax.chain(
        optax.clip_by_global_norm(gradient_clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(weight_decay, partial(is_kernel, of_encoder=False)),
        optax.add_decayed_weights(ENCODER_WEIGHT_DECAY, partial(is_kernel, of_encoder=True)),
        optax.scale_by_learning_rate(schedule),
        optax.masked(optax.scale(encoder_factor), is_encoder),
    )
