"""Trains fusions and heads on tile embeddings in memory: many small runs in one process.

Network, task, optimizer and update are those of a run of the same config (`bags.cached`); what a
start of the program costs, and reading every batch from disk, is paid once for all of them.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Bool, Float, Int

from input_pipeline.tables.manifest import Manifest
from iqa_jax.analysis.late_fusion import LATE_FUSIONS
from iqa_jax.learning.state import create_state
from iqa_jax.learning.steps import predict_step, sample_step, train_step
from iqa_jax.run import build
from iqa_jax.run.config import config_from_json, config_to_json, kind_from_config
from iqa_jax.run.variables import initial_variables
from iqa_jax.scoring.embedding_cache import embeddings_from_config

_ANSWERED_AT_ONCE = 500


class Tiles(NamedTuple):
    """The embeddings of images that are all cut alike.

    Attributes:
        embeddings: of every tile.
        position: row and column of each tile in the grid.
        grid: rows and columns.
    """

    embeddings: Float[np.ndarray, "image tile dim"]
    position: Int[np.ndarray, "tile 2"]
    grid: Int[np.ndarray, " 2"]


def load_tiles(config: ml_collections.ConfigDict, manifest: Manifest) -> Tiles:
    """Embeds the images of a manifest once, and reads the embeddings of the grid's tiles.

    Raises:
        SystemExit: the images are not cut alike.
    """
    source = build.source_from_config(config, manifest)
    read = embeddings_from_config(config, initial_variables(config), source)
    grids = [source.layout(image_id).grid for image_id in manifest.images.index]
    if any(not np.array_equal(grid.positions, grids[0].positions) for grid in grids):
        raise SystemExit("the images must have the same number of tiles in the same places.")
    found = np.stack([read(image_id)[0] for image_id in manifest.images.index])
    return Tiles(found, grids[0].positions, np.array(grids[0].shape))


def draw_order(
    labels: Int[np.ndarray, " example"] | None, count: int, total: int, rng: np.random.Generator
) -> Int[np.ndarray, " total"]:
    """Draws the order of examples: each comes again when all have come.

    Args:
        labels: classes that come as often as each other; None where all examples are alike.
        count: of examples.
        total: how many are drawn.
        rng: of the order.
    """
    parts = [np.arange(count)]
    if labels is not None:
        parts = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    each = -(-total // len(parts))
    streams = [
        np.concatenate([rng.permutation(part) for _ in range(-(-each // len(part)))])[:each]
        for part in parts
    ]
    return np.stack(streams, axis=1).ravel()[:total]


def train_head(
    config: ml_collections.ConfigDict,
    tiles: Tiles,
    labels: np.ndarray,
    targets: np.ndarray,
    image_ids: Int[np.ndarray, " image"],
    *,
    steps: int,
    is_kept: Bool[np.ndarray, "image tile"] | None = None,
) -> Any:
    """Trains on some images; those without a label of the kind train nothing.

    Args:
        config: of the run; `bags.tiles` is 1 or as many as an image has.
        tiles: of all images.
        labels: of all images, as a manifest has them.
        targets: of all images, what is trained on.
        image_ids: which train.
        steps: updates.
        is_kept: of all images, the tiles that train; all of them by default, and with whole images
            as examples always.

    Returns:
        The variables of fusion and head.
    """
    image_ids = np.asarray(image_ids)
    image_ids = image_ids[kind_from_config(config).is_labelled(labels[image_ids])]
    count = tiles.embeddings.shape[1]
    examples = np.stack([image_ids, np.zeros_like(image_ids)], axis=1)
    if config.bags.tiles == 1:
        chosen = np.ones((len(image_ids), count), bool) if is_kept is None else is_kept[image_ids]
        rows, numbers = np.nonzero(chosen)
        examples = np.stack([image_ids[rows], numbers], axis=1)
    balanced = labels[examples[:, 0]] if config.balanced_sampling else None
    rng = np.random.default_rng(config.seed)
    order = draw_order(balanced, len(examples), steps * config.batch_size, rng)
    order = examples[order].reshape(steps, config.batch_size, 2)
    run = _compiled(_without_seed(config), steps)
    key = jax.random.key(config.seed)
    return run(tiles._replace(embeddings=_on_device(tiles)), targets, order, key)


def answer_images(
    config: ml_collections.ConfigDict,
    variables: Any,
    tiles: Tiles,
    image_ids: Int[np.ndarray, " image"],
) -> dict[str, np.ndarray]:
    """Answers images by a trained head.

    Returns:
        Fusion -> [image, values]: the network's own and the late ones; `tiles` [image, tile,
        values], each tile alone; `embedding` [image, dim], as `predict_step`.
    """
    predict = _predictor(_without_seed(config))
    parts = [
        jax.device_get(predict(variables, _bags(tiles, tiles.embeddings[part])))
        for part in _parts(image_ids)
    ]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    answers = {config.model.fusion: found["fused"]}
    prior = np.full(found["fused"].shape[1], np.nan)
    for name in kind_from_config(config).late_fusions:
        mask = np.ones(found["tiles"].shape[:2], bool)
        answers[name] = LATE_FUSIONS[name](found["tiles"], mask, prior)
    return answers | {"tiles": found["tiles"], "embedding": found["embedding"]}


def sample_images(
    config: ml_collections.ConfigDict,
    variables: Any,
    tiles: Tiles,
    image_ids: Int[np.ndarray, " image"],
    samples: int,
) -> Float[np.ndarray, "sample image values"]:
    """Answers images several times with dropout on, as `sample_step`."""
    sample = _sampler(_without_seed(config), samples)
    parts = [
        np.asarray(sample(variables, _bags(tiles, tiles.embeddings[part])))
        for part in _parts(image_ids)
    ]
    return np.concatenate(parts, axis=1)


def _parts(image_ids: np.ndarray) -> list[np.ndarray]:
    starts = range(0, len(image_ids), _ANSWERED_AT_ONCE)
    return [np.asarray(image_ids)[start : start + _ANSWERED_AT_ONCE] for start in starts]


def _bags(tiles: Tiles, embeddings: Any) -> dict[str, Any]:
    """Lays whole images out as the batch of embeddings that a network takes."""
    count, number = embeddings.shape[:2]
    return {
        "embeddings": embeddings,
        "features": jnp.zeros((count, number, 0)),
        "tile_mask": jnp.ones((count, number), bool),
        "tile_position": jnp.broadcast_to(jnp.asarray(tiles.position), (count, number, 2)),
        "grid_shape": jnp.broadcast_to(jnp.asarray(tiles.grid), (count, 2)),
    }


# The embeddings of the last caller: on the host, and on the device.
_KEPT: list[Any] = []


def _on_device(tiles: Tiles) -> Any:
    """Gives the embeddings on the device; those of the last caller are kept there."""
    if not _KEPT or _KEPT[0] is not tiles.embeddings:
        _KEPT[:] = tiles.embeddings, jnp.asarray(tiles.embeddings)
    return _KEPT[1]


def _without_seed(config: ml_collections.ConfigDict) -> str:
    """Gives what a compiled run hangs on: runs of other draws and seeds share it."""
    config = ml_collections.ConfigDict(config.to_dict())
    config.seed, config.data.manifest = 0, ""
    return config_to_json(config)


@cache
def _compiled(text: str, steps: int):
    config = config_from_json(text)
    model, task = build.model_from_config(config), build.task_from_config(config)
    optimizer, _ = build.optimizer_from_config(config, max(1, steps // config.epochs))
    update = partial(
        train_step,
        model=model,
        task=task,
        optimizer=optimizer,
        is_trainable=lambda path: True,
        augmentation={},
        total_steps=steps,
        tile_weight=config.loss.tile_weight,
    )

    @jax.jit
    def run(tiles: Tiles, targets, order, key):
        def batch_of(chosen):
            embeddings = tiles.embeddings[chosen[:, 0]]
            bags = _bags(tiles, embeddings)
            if config.bags.tiles == 1:
                rows, number = jnp.arange(len(chosen)), chosen[:, 1]
                for name in ("embeddings", "features", "tile_mask", "tile_position"):
                    bags[name] = bags[name][rows, number][:, None]
            mask = jnp.ones(len(chosen), bool)
            return bags | {"label": targets[chosen[:, 0]], "mask": mask}

        variables = model.init(key, batch_of(order[0]))
        variables = {kind: dict(variables.get(kind, {})) for kind in ("params", "batch_stats")}
        decay = config.optimizer.ema_decay
        state = create_state(variables, optimizer, lambda path: True, decay)
        state, _ = jax.lax.scan(
            lambda state, chosen: update(state, batch_of(chosen), key=key), state, order
        )
        return state.variables

    return run


@cache
def _predictor(text: str):
    config = config_from_json(text)
    how: Mapping[str, Any] = {
        "model": build.model_from_config(config),
        "task": build.task_from_config(config),
    }
    return jax.jit(partial(predict_step, **how))


@cache
def _sampler(text: str, samples: int):
    config = config_from_json(text)
    return jax.jit(
        partial(
            sample_step,
            keys=jax.random.split(jax.random.key(0), samples),
            model=build.model_from_config(config),
            task=build.task_from_config(config),
            is_per_tile=config.evaluation.fusion in LATE_FUSIONS,
        )
    )
