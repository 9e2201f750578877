"""AdamW with warm-up, a step decay and clipping."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax


def step_decay(
    learning_rate: float, warmup_steps: int, decay_factor: float, decay_every_steps: int
) -> Callable[[jax.Array], jax.Array]:
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
        warmup = jnp.minimum((step + 1) / max(warmup_steps, 1), 1.0) if warmup_steps else 1.0
        decays = jnp.maximum(step - warmup_steps, 0) // decay_every_steps
        return learning_rate * warmup * decay_factor**decays

    return schedule


def make_optimizer(
    schedule: Callable[[jax.Array], jax.Array], weight_decay: float, gradient_clip: float
) -> optax.GradientTransformation:
    """Makes AdamW behind clipping by global norm; biases and BatchNorm are not decayed."""
    return optax.chain(
        optax.clip_by_global_norm(gradient_clip),
        optax.adamw(
            schedule,
            weight_decay=weight_decay,
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
        ),
    )
