"""What one score is on the scales of several sets of images."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# The maps are few numbers beside a network whose learning rate is set for kernels: they learn
# faster by this factor, so that a run of a thousand updates finds them.
_PACE = 10.0


class SetScales(nn.Module):
    """A rising line per set, from scores on the scale of the first to those of each set.

    Training compares labels with what lies on the line of their set; answers do without. The first
    set has the identity, and no line can fall, so that sets cannot disagree on what is better.

    Attributes:
        sets: how many there are, the first included.
    """

    sets: int

    @nn.compact
    def __call__(
        self, outputs: Float[Array, "batch *tile outputs"], set_id: Int[Array, " batch"]
    ) -> Float[Array, "batch *tile outputs"]:
        """Brings outputs to the scale of the set that each example is from."""
        log_slope, shift = (
            self.param(name, nn.initializers.zeros, (self.sets - 1,))
            for name in ("log_slope", "shift")
        )
        shape = (-1, *(1,) * (outputs.ndim - 1))
        slopes = jnp.concatenate([jnp.ones(1), jnp.exp(_PACE * log_slope)])
        shifts = jnp.concatenate([jnp.zeros(1), _PACE * shift])
        return outputs * slopes[set_id].reshape(shape) + shifts[set_id].reshape(shape)
