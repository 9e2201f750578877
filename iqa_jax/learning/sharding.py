"""How the devices share a batch: one mesh axis, `data`, and two ways to run a step over it.

`jit` is the normal way: arrays are global, the compiler inserts the sums. `pmap` maps the step
over the devices of this process by hand; it exists for set-ups that need it and gives the same
numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "data"
Devices = Sequence[jax.Device]  # pyright: ignore[reportInvalidTypeForm] (a variable to JAX)


class PlacementError(ValueError):
    """Says why the devices cannot share the work and what to do."""


@dataclass(frozen=True)
class Placement:
    """How state and batches reach the devices and how a step is compiled for them.

    Attributes:
        axis_name: what the model and the step sum over by hand; None if the compiler does.
        place_state: host or single-device tree -> tree on all devices.
        fetch_state: the reverse, to a tree whose arrays are addressed as one array each.
        place_batch: this process's share of a batch, NumPy -> what a compiled step takes.
        split_batch: (batch as a compiled step sees it, number of micro-batches) ->
            [micro-batch, batch, ...], each shared by the devices as the batch was.
        compile_step: `(state, batch) -> (state, metrics)` -> the same, over all devices; the state
            given to it is used up.
    """

    axis_name: str | None
    place_state: Callable[[Any], Any]
    fetch_state: Callable[[Any], Any]
    place_batch: Callable[[Mapping[str, np.ndarray]], Mapping[str, jax.Array | np.ndarray]]
    split_batch: Callable[[Mapping[str, jax.Array], int], dict[str, jax.Array]]
    compile_step: Callable[[Callable], Callable]


def make_mesh(devices: Devices | None = None) -> Mesh:
    """Makes the one-axis mesh over the given devices, or over all."""
    devices = jax.devices() if devices is None else devices
    # Explicit axes, the default, are refused by flax's dropout.
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def replicated_sharding(mesh: Mesh) -> NamedSharding:
    """Says that every device of the mesh holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Says that the devices of the mesh share the first axis."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def second_axis_sharding(mesh: Mesh) -> NamedSharding:
    """Says that the devices of the mesh share the second axis."""
    return NamedSharding(mesh, PartitionSpec(None, AXIS))


def split_shares(
    batch: Mapping[str, jax.Array], accumulation_steps: int, devices: int = 1
) -> dict[str, jax.Array]:
    """Cuts a batch into [micro-batch, batch, ...], each of an equal part of every device's share.

    A micro-batch is not a run of neighbours: those lie on one device, and would have to travel.
    """

    def split(values):
        part, *rest = values.shape[0] // accumulation_steps, *values.shape[1:]
        shares = values.reshape(devices, accumulation_steps, part // devices, *rest)
        return shares.swapaxes(0, 1).reshape(accumulation_steps, part, *rest)

    return {name: split(values) for name, values in batch.items()}


def jit_placement(devices: Devices) -> Placement:
    """Places one global array per value; works over many processes."""
    mesh = make_mesh(devices)
    replicated, sharded = replicated_sharding(mesh), batch_sharding(mesh)
    over_second = second_axis_sharding(mesh)
    return Placement(
        axis_name=None,
        # From the host: what is on a device of one process cannot go to those of another.
        place_state=lambda state: jax.device_put(jax.device_get(state), replicated),
        fetch_state=lambda state: state,
        place_batch=lambda batch: {
            key: jax.make_array_from_process_local_data(sharded, value)
            for key, value in batch.items()
        },
        split_batch=lambda batch, accumulation_steps: jax.lax.with_sharding_constraint(
            split_shares(batch, accumulation_steps, mesh.size), over_second
        ),
        compile_step=lambda step: jax.jit(
            step,
            donate_argnums=0,
            out_shardings=(replicated, replicated),
        ),
    )


def pmap_placement(devices: Devices) -> Placement:
    """Places one copy of the state and one slice of the batch per device of one process.

    Raises:
        PlacementError: there are several processes.
    """
    if jax.process_count() > 1:
        raise PlacementError('host.parallel = "pmap" drives one process; use "jit" for several.')
    count = len(devices)
    copy = jax.pmap(lambda _, state: state, AXIS, in_axes=(0, None), devices=devices)

    def first(tree):
        return jax.tree.map(lambda leaf: leaf[0], tree)

    def compile_step(step):
        mapped = jax.pmap(step, AXIS, devices=devices, donate_argnums=0)

        def run(state, batch):
            state, metrics = mapped(state, batch)
            return state, first(metrics)

        return run

    return Placement(
        axis_name=AXIS,
        place_state=lambda state: copy(np.zeros(count), state),
        fetch_state=first,
        place_batch=lambda batch: {
            key: value.reshape(count, value.shape[0] // count, *value.shape[1:])
            for key, value in batch.items()
        },
        split_batch=split_shares,
        compile_step=compile_step,
    )


PLACEMENTS = {"jit": jit_placement, "pmap": pmap_placement}


def check_batch_size(
    batch_size: int, devices: int, processes: int, accumulation_steps: int = 1
) -> None:
    """Refuses a batch that the devices cannot share equally in every micro-batch.

    Raises:
        PlacementError: names the nearest sizes that divide.
    """
    shares = accumulation_steps * (devices if devices % processes == 0 else devices * processes)
    if batch_size % shares:
        below = batch_size // shares * shares
        nearest = f"{below} or {below + shares}" if below else f"{shares}"
        each = f", each taking its share in {accumulation_steps} micro-batches (accumulation_steps)"
        raise PlacementError(
            f"batch_size {batch_size} does not divide over {devices} devices"
            f"{each if accumulation_steps > 1 else ''}; the nearest sizes that do: {nearest}."
        )
