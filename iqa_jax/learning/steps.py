"""The pure steps of training and prediction. They are compiled where devices are known."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, UInt8

from iqa_jax.learning.augment import augment, mirror_positions, to_unit
from iqa_jax.learning.degrade import Change, degrade
from iqa_jax.learning.sharding import split_shares
from iqa_jax.learning.state import Path, TrainState, merge, partition
from iqa_jax.learning.tasks import Task
from iqa_jax.learning.tasks.task import BATCH_TERMS
from iqa_jax.models.quality_model import ModelOutput, QualityModel

Batch = Mapping[str, Array]
# Statistics of BatchNorm after a micro-batch, its part of the loss, and gradients.
Differentiated = tuple[Any, Array, dict[Path, Array]]
# (statistics before a micro-batch, it, its key of dropout) -> what it brings.
Differentiate = Callable[[Any, Batch, Array], Differentiated]


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: QualityModel,
    task: Task,
    optimizer: optax.GradientTransformation,
    is_trainable: Callable[[Path], bool],
    augmentation: Mapping[str, Any],
    key: Key[Array, ""],
    total_steps: int,
    tile_weight: float = 0.0,
    distortions: Sequence[Change] = (),
    axis_name: str | None = None,
    accumulation_steps: int = 1,
    split_batch: Callable[[Batch, int], Batch] = split_shares,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """Makes one update from one batch of bags of tiles.

    Args:
        state: before the update.
        batch: `tiles` or `embeddings`, `tile_mask`, `tile_position`, `grid_shape`, `features`,
            `label`, `mask`. Masked examples weigh nothing. `weight` [batch] scales each example's
            loss; without it all weigh 1. `set_id` [batch] says which set an example's label is
            from, where there are several. With `distortion`, `strength` and `chance` the tiles are
            degraded first, as `degrade` says.
        model, task, optimizer: of the run.
        is_trainable: which parameters the update may change.
        augmentation: keyword arguments of `augment`.
        key: of the run; folded with the step, so none is saved.
        total_steps: of the run, for DropBlock's ramp.
        tile_weight: weighs the loss of every tile alone, given its image's label, beside the loss
            of the image; the mean over the image's tiles counts.
        distortions: that a batch may ask for.
        axis_name: the mapped axis when each device runs this on its share (pmap); None when the
            batch is global (jit).
        accumulation_steps: equal micro-batches that go through the network one after the other, so
            that memory is that of one. The update is the whole batch's, but BatchNorm takes its
            statistics from each in turn. Not for a task with a `batch_loss`.
        split_batch: as in `Placement`.

    Returns:
        The state after the update, and `loss` and `gradient_norm` over the global batch.
    """
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(key, state.step))
    place = jnp.arange(batch["mask"].shape[0])
    if axis_name:
        place += jax.lax.axis_index(axis_name) * len(place)
        dropout_key = jax.random.fold_in(dropout_key, jax.lax.axis_index(axis_name))
    over_devices = partial(jax.lax.psum, axis_name=axis_name) if axis_name else lambda value: value
    trainable, frozen = partition(state.params, is_trainable)
    weight = jnp.where(batch["mask"], batch.get("weight", 1.0), 0.0)
    terms = jnp.where(batch["mask"], task.terms(batch["label"]), 0).sum()
    terms = jnp.maximum(over_devices(terms), 1)

    def differentiate(batch_stats, batch, dropout_key):
        if "tiles" in batch:
            batch = _change_tiles(batch, augment_key, augmentation, distortions)

        def loss_of(trainable):
            output, changed = model.apply(
                {"params": merge(trainable, frozen), "batch_stats": batch_stats},
                {**batch, "tile_mask": batch["tile_mask"] & batch["mask"][:, None]},
                train=True,
                progress=state.step / total_steps,
                with_tiles=tile_weight > 0,
                mutable=["batch_stats"],
                rngs={"dropout": dropout_key},
            )
            losses = _example_losses(cast(ModelOutput, output), batch, task, tile_weight)
            loss = (batch["weight"] * losses).sum() / terms
            if task.batch_loss:
                loss += _share_of_batch_loss(task.batch_loss, output.logits, batch, axis_name)
            return loss, changed["batch_stats"]

        (loss, batch_stats), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable)
        return batch_stats, loss, gradients

    whole = {**batch, "weight": weight, "place": place}
    if accumulation_steps == 1:
        batch_stats, loss, gradients = differentiate(state.batch_stats, whole, dropout_key)
    else:
        micro_batches = split_batch(whole, accumulation_steps)
        start = (state.batch_stats, jnp.zeros(()), jax.tree.map(jnp.zeros_like, trainable))
        batch_stats, loss, gradients = _accumulate(differentiate, start, micro_batches, dropout_key)
    gradients = jax.tree.map(over_devices, gradients)
    updates, opt_state = optimizer.update(gradients, state.opt_state, trainable)
    state = state.advance(
        params=merge(optax.apply_updates(trainable, updates), frozen),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )
    return state, {"loss": over_devices(loss), "gradient_norm": optax.tree.norm(gradients)}


def _accumulate(
    differentiate: Differentiate,
    start: Differentiated,
    micro_batches: Batch,
    dropout_key: Key[Array, ""],
) -> Differentiated:
    """Differentiates micro-batches one after the other, and sums losses and gradients.

    Args:
        differentiate: a micro-batch, with the statistics that the one before it left.
        start: the statistics before the first, and zeros.
        micro_batches: [micro-batch, batch, ...].
        dropout_key: folded with the number of the micro-batch.
    """

    def add(sums, numbered):
        batch_stats, *sums = sums
        number, micro_batch = numbered
        key = jax.random.fold_in(dropout_key, number)
        batch_stats, *more = differentiate(batch_stats, micro_batch, key)
        return (batch_stats, *jax.tree.map(jnp.add, sums, more)), None

    numbers = jnp.arange(len(micro_batches["mask"]))
    return jax.lax.scan(add, start, (numbers, micro_batches))[0]


def _example_losses(
    output: ModelOutput, batch: Batch, task: Task, tile_weight: float
) -> Float[Array, " batch"]:
    """Gives the loss of each example, and beside it that of its tiles; 0 where it is masked."""
    losses = task.loss(output.logits, batch["label"])
    if tile_weight:
        losses += tile_weight * _tile_losses(output.tile_logits, batch, task)
    return jnp.where(batch["mask"], losses, 0)


def _share_of_batch_loss(
    batch_loss: Callable[[Array, Batch], Array],
    logits: Float[Array, "batch outputs"],
    batch: Batch,
    axis_name: str | None,
) -> Float[Array, ""]:
    """Gives this device's share of a loss of the global batch: the sum over devices is the loss."""
    terms = {name: batch[name] for name in BATCH_TERMS if name in batch}
    if not axis_name:
        return batch_loss(logits, terms)
    gather = partial(jax.lax.all_gather, axis_name=axis_name, tiled=True)
    return batch_loss(*jax.tree.map(gather, (logits, terms))) / jax.lax.axis_size(axis_name)


def _change_tiles(
    batch: Batch,
    key: Key[Array, ""],
    augmentation: Mapping[str, Any],
    distortions: Sequence[Change],
) -> dict[str, Array]:
    """Degrades and augments the tiles of a batch, and moves them to where they then lie."""
    tiles, place = batch["tiles"], batch["place"]
    if "distortion" in batch:
        how = (batch["distortion"], batch["strength"], batch["chance"])
        tiles = degrade(tiles, *how, distortions)
    position = mirror_positions(
        batch["tile_position"],
        batch["grid_shape"],
        key,
        flip_horizontal=augmentation["flip_horizontal"],
        flip_vertical=augmentation["flip_vertical"],
        place=place,
    )
    tiles = augment(tiles, key, **augmentation, place=place)
    return {**batch, "tiles": tiles, "tile_position": position}


def _tile_losses(
    tile_logits: Float[Array, "batch tile outputs"] | None, batch: Batch, task: Task
) -> Float[Array, " batch"]:
    """Gives the mean loss of an image's tiles, each alone given the image's label."""
    assert tile_logits is not None
    tiles = tile_logits.shape[1]
    labels = jnp.repeat(batch["label"], tiles, axis=0)
    losses = task.loss(tile_logits.reshape(-1, task.outputs), labels).reshape(-1, tiles)
    losses = jnp.where(batch["tile_mask"], losses, 0).sum(axis=1)
    return losses / jnp.maximum(batch["tile_mask"].sum(axis=1, dtype=jnp.float32), 1)


def encode_step(
    variables: Any, tiles: UInt8[Array, "n height width 3"], *, model: QualityModel
) -> Float[Array, "n dim"]:
    """Gives the embeddings of tiles, each on its own."""
    embeddings = cast(Array, model.apply(variables, to_unit(tiles), method="encode"))
    return embeddings.astype(jnp.float32)


def predict_step(
    variables: Any, bags: Batch, *, model: QualityModel, task: Task
) -> dict[str, Array]:
    """Answers bags of embeddings.

    Returns:
        `fused` [batch, values]: probabilities per class, or one score; `tiles`
        [batch, tile, values]: the same for every tile alone; `attention` [batch, tile];
        `embedding` [batch, dim]: what the run has learnt to embed images by, or the fused one.
    """
    output = cast(ModelOutput, model.apply(variables, bags, method="answer"))
    assert output.tile_logits is not None
    dim = task.projection_dim
    return {
        "fused": task.predict(output.logits),
        "tiles": task.predict(output.tile_logits),
        "attention": output.attention,
        "embedding": output.logits[:, :dim] if dim else output.embedding,
    }


def sample_step(
    variables: Any,
    bags: Batch,
    keys: Key[Array, " sample"],
    *,
    model: QualityModel,
    task: Task,
    is_per_tile: bool,
) -> Array:
    """Answers bags of embeddings several times with dropout on: Monte-Carlo dropout.

    A sample drops the same units for every image, as one thinned network would. So an image's
    answers depend on the keys alone, not on its place in a batch, its company or its padding.

    Args:
        variables: of the model.
        bags: as in `predict_step`.
        keys: one per sample.
        model, task: of the run.
        is_per_tile: answer every tile as a bag of its own.

    Returns:
        [sample, batch, values], or [sample, batch, tile, values].

    Source:
        Gal, Ghahramani 2016, section 4. The encoder, with its BatchNorm and DropBlock, has made the
        embeddings as in prediction.
    """
    shape = bags["tile_mask"].shape if is_per_tile else bags["tile_mask"].shape[:1]
    if is_per_tile:
        bags = _tiles_as_bags(bags)

    def answer(bag, key):
        bag = {name: value[None] for name, value in bag.items()}
        how = {"with_tiles": False, "drops": True, "method": "answer", "rngs": {"dropout": key}}
        output = cast(ModelOutput, model.apply(variables, bag, **how))
        return task.predict(output.logits)[0]

    # One sample after the other: all at once, the hidden layers of many tiles would not fit.
    samples = jax.lax.map(lambda key: jax.vmap(answer, (0, None))(bags, key), keys)
    return samples.reshape(len(keys), *shape, -1)


def _tiles_as_bags(bags: Batch) -> dict[str, Array]:
    """Makes every tile, padding too, the one tile of a bag, at its place in its grid."""
    batch, tiles = bags["tile_mask"].shape
    alone = {
        name: bags[name].reshape(batch * tiles, 1, bags[name].shape[-1])
        for name in ("embeddings", "features", "tile_position")
    }
    return alone | {
        "tile_mask": jnp.ones((batch * tiles, 1), bool),
        "grid_shape": jnp.repeat(bags["grid_shape"], tiles, axis=0),
    }
