"""The state of a run: parameters, statistics, optimizer, and which parameters train."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, no_type_check

import jax
import jax.numpy as jnp
import optax
from flax import struct
from flax.traverse_util import flatten_dict, unflatten_dict

Path = tuple[str, ...]


@no_type_check  # JAX also makes such trees of what is no array.
@struct.dataclass
class TrainState:
    """Everything an update changes.

    `params` holds all parameters; `opt_state` only knows the trainable ones.
    """

    step: jax.Array  # int32, updates completed
    params: Any
    batch_stats: Any
    opt_state: optax.OptState

    @property
    def variables(self) -> dict[str, Any]:
        """What answers are given with."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    def advance(self, *, params: Any, batch_stats: Any, opt_state: optax.OptState) -> "TrainState":
        """Gives the state after an update."""
        return dataclasses.replace(
            self, step=self.step + 1, params=params, batch_stats=batch_stats, opt_state=opt_state
        )


@no_type_check  # JAX also makes such trees of what is no array.
@struct.dataclass
class AveragedState(TrainState):
    """A state that answers with an exponential moving average of what its updates made.

    After t updates the average is `Σ dᵗ⁻ⁱ xᵢ / Σ dᵗ⁻ⁱ` over i = 1 … t: the start, which no update
    made, is not in it. BatchNorm's statistics are averaged like the weights they belong to.
    """

    average: Any  # As `variables`.
    decay: float = struct.field(pytree_node=False)

    @property
    def variables(self) -> dict[str, Any]:
        return self.average

    def advance(self, **changes: Any) -> TrainState:
        after, log_decay = super().advance(**changes), math.log(self.decay)
        # (1 - d) / (1 - dᵗ), to the last bits for d near 1 too.
        share = math.expm1(log_decay) / jnp.expm1(after.step.astype(jnp.float32) * log_decay)
        newest = {"params": after.params, "batch_stats": after.batch_stats}
        return dataclasses.replace(after, average=_mix(self.average, newest, share))


@no_type_check  # JAX also makes such trees of what is no array.
@struct.dataclass
class AnchoredState(AveragedState):
    """A state that answers from between its average and the weights it began with.

    Fine-tuning on few images loses something of what it begins with while it learns; between the
    two a network can be better than either.

    Source:
        Wortsman et al. 2022, "Robust fine-tuning of zero-shot models".
    """

    start: Any  # As `variables`.
    start_share: float = struct.field(pytree_node=False)

    @property
    def variables(self) -> dict[str, Any]:
        return _mix(self.average, self.start, self.start_share)


def _mix(some: Any, others: Any, share: float | jax.Array) -> Any:
    """Moves variables so much of the way towards others."""

    def move(one, other):
        # What is frozen stays bit for bit: -0 + (-0 - -0) is 0, another hash of the encoder.
        return jnp.where(one == other, one, one + share * (other - one))

    return jax.tree.map(move, some, others)


def partition(params: Any, is_trainable: Callable[[Path], bool]) -> tuple[dict, dict]:
    """Splits parameters into (trainable, frozen), both flat dicts from path to array.

    Gradients are taken for the first alone, so that frozen layers cost no backward pass.
    """
    flat = flatten_dict(params)
    trainable = {path: leaf for path, leaf in flat.items() if is_trainable(path)}
    return trainable, {path: leaf for path, leaf in flat.items() if path not in trainable}


def merge(trainable: dict, frozen: dict) -> Any:
    """Undoes `partition`."""
    return unflatten_dict({**frozen, **trainable})


def create_state(
    variables: dict[str, Any],
    optimizer: optax.GradientTransformation,
    is_trainable: Callable[[Path], bool],
    ema_decay: float = 0.0,
    start_share: float = 0.0,
) -> TrainState:
    """Makes the state before the first update.

    Args:
        variables: parameters and statistics.
        optimizer: of the trainable ones.
        is_trainable: of a parameter's path.
        ema_decay: of the average it answers with; 0: it answers with the newest.
        start_share: so much of the answer these variables are; needs an average.
    """
    trainable, _ = partition(variables["params"], is_trainable)
    state = {
        "step": jnp.zeros((), jnp.int32),
        "params": variables["params"],
        "batch_stats": variables["batch_stats"],
        "opt_state": optimizer.init(trainable),
    }
    if not ema_decay:
        return TrainState(**state)

    def copy():
        # An update uses its state up, and no array can be used up twice.
        return {name: jax.tree.map(jnp.copy, state[name]) for name in ("params", "batch_stats")}

    state |= {"average": copy(), "decay": ema_decay}
    if not start_share:
        return AveragedState(**state)
    return AnchoredState(**state, start=copy(), start_share=start_share)
