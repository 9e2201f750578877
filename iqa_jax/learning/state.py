"""The state of a run: parameters, statistics, optimizer, and which parameters train."""

from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax

Path = tuple[str, ...]


@flax.struct.dataclass
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
        return {"params": self.params, "batch_stats": self.batch_stats}


def partition(params: Any, is_trainable: Callable[[Path], bool]) -> tuple[dict, dict]:
    """Splits parameters into (trainable, frozen), both flat dicts from path to array.

    Gradients are taken for the first alone, so that frozen layers cost no backward pass.
    """
    flat = flax.traverse_util.flatten_dict(params)
    trainable = {path: leaf for path, leaf in flat.items() if is_trainable(path)}
    return trainable, {path: leaf for path, leaf in flat.items() if path not in trainable}


def merge(trainable: dict, frozen: dict) -> Any:
    """Undoes `partition`."""
    return flax.traverse_util.unflatten_dict({**frozen, **trainable})


def create_state(
    variables: dict[str, Any],
    optimizer: optax.GradientTransformation,
    is_trainable: Callable[[Path], bool],
) -> TrainState:
    """Makes the state before the first update."""
    trainable, _ = partition(variables["params"], is_trainable)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        opt_state=optimizer.init(trainable),
    )
