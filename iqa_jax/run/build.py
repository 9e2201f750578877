"""Builds the parts of a run from its config; everything below takes plain arguments."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import optax

from input_pipeline.batches.rankings import device_kinds, make_versions
from input_pipeline.distortions.catalogue import DISTORTIONS
from input_pipeline.tables.dropped_tiles import drop_tiles
from input_pipeline.tables.joined import join_manifests
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import Manifest, read_manifest, read_split_rows, with_splits
from input_pipeline.tables.pairs import read_pairs
from input_pipeline.tables.table_files import ManifestError
from input_pipeline.tiles.features import COMPUTED, feature_width
from input_pipeline.tiles.sources import Picture, TileSource, pictures_of
from input_pipeline.tiles.tile_index import NO_LIMIT
from input_pipeline.tiles.tiling import Tiling
from input_pipeline.tiles.views import View, make_views
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.learning.optimizer import cosine_decay, make_optimizer, step_decay
from iqa_jax.learning.state import Path as ParameterPath
from iqa_jax.learning.state import TrainState, create_state
from iqa_jax.learning.tasks import TASKS, Labels, Task, default_loss
from iqa_jax.models.embedding_norm import EmbeddingNorm
from iqa_jax.models.encoders import ENCODERS
from iqa_jax.models.encoders.mobilenet_v2 import is_trainable
from iqa_jax.models.fusions import FUSIONS
from iqa_jax.models.heads import CoralHead, ProjectionHead, TwoLayerHead
from iqa_jax.models.quality_model import QualityModel
from iqa_jax.models.set_scales import SetScales
from iqa_jax.run.config import kind_from_config, label_meaning
from iqa_jax.run.look_alikes import group_look_alikes

Config = ml_collections.ConfigDict


def label_from_config(config: Config) -> LabelSpec:
    """Says what the label column means."""
    kind = config.data.label_kind
    # What an unknown kind should be, `LabelSpec` says.
    return LabelSpec(kind=kind, **label_meaning(config) if kind in KINDS else {})


def sets_from_config(config: Config) -> dict[str, LabelSpec]:
    """Says what the labels of the further sets mean that a run learns from, by their names."""
    return {
        name: LabelSpec("numeric", one.label_column, (), "", one.minimum, one.maximum,
                        one.higher_is_better)
        for name, one in config.data.manifests.items()
    }  # fmt: skip


def set_shares_from_config(config: Config) -> tuple[float, ...]:
    """Says how often each set is drawn for each time of the first; empty for a single set."""
    shares = [one.share for one in config.data.manifests.values()]
    return (1.0, *shares) if shares else ()


def manifest_from_config(
    config: Config,
    path: str | Path | None = None,
    *,
    whole: str = "",
    labelled: bool = True,
    sets: Mapping[str, str] | None = None,
) -> Manifest:
    """Reads the config's manifest, or another one by the config's rules.

    What is read to train on has the further sets of `data.manifests` joined to it.

    Args:
        config: of the run.
        path: another manifest than the config's.
        whole: name of the one split that a manifest without splits is read as; by default such a
            manifest is split as `data.split_rows` lists, or as `data.fractions` says.
        labelled: False to read no labels.
        sets: name of a further set -> where it is read; by default where the config says.
    """
    data = config.data
    shares = zip(("train", "val", "test"), data.fractions, strict=True)
    fractions = {name: share for name, share in shares if share}
    columns = [name for name in data.features if name not in COMPUTED]
    is_training = labelled and not whole
    if is_training:
        # Only training looks at these.
        columns += [*filter(None, [data.label_std_column]), *data.count_columns]
    is_listed = bool(data.split_rows) and is_training
    has_dropped = bool(data.dropped_tiles) and is_training
    whole = "all" if is_listed else whole
    draw = {"fractions": {whole: 1.0} if whole else fractions, "seed": config.seed}
    kind = kind_from_config(config)
    if kind.is_of_pairs and not kind.makes_versions and labelled:
        manifest = read_pairs(path or data.manifest, **draw)
    else:
        label = label_from_config(config) if labelled else None
        manifest = read_manifest(path or data.manifest, label, features=columns, **draw)
    join_look_alikes = partial(group_look_alikes, config) if data.group_near_duplicates else None
    if join_look_alikes and labelled:
        manifest = join_look_alikes(manifest, draw)
    if is_listed:
        manifest = with_splits(manifest, read_split_rows(data.split_rows))
    if is_training and data.manifests:
        places = {name: one.path for name, one in data.manifests.items()} | dict(sets or {})
        draw = {"fractions": fractions, "seed": config.seed}
        others = {
            name: read_manifest(places[name], label, features=columns, **draw)
            for name, label in sets_from_config(config).items()
        }
        if join_look_alikes:
            others = {name: join_look_alikes(other, draw) for name, other in others.items()}
        manifest = join_manifests(manifest, others)
    return drop_tiles(manifest, data.dropped_tiles) if has_dropped else manifest


def recorded_manifest_from_config(config: Config, about: Mapping[str, Any]) -> Manifest:
    """Reads the manifests of a run where it found them; `about` is its `manifest.json`."""
    return manifest_from_config(config, about["path"], sets=about.get("sets"))


def needed_splits_from_config(config: Config) -> tuple[str, ...]:
    """Names the splits that training cannot do without."""
    return ("train", "val") if config.early_stopping.metric else ("train",)


def tiling_from_config(config: Config) -> Tiling:
    """Says how images are cut."""
    tiles = config.tiles
    return Tiling(tiles.size, tiles.stride, tiles.edge, tiles.shrink, tiles.reference_side)


def source_from_config(config: Config, manifest: Manifest, cached: bool = False) -> TileSource:
    """Opens the images of a manifest; `cached` keeps decoded ones for the next epoch.

    Raises:
        ManifestError: its rows are tiles already cut, and the config asks for other views of them
            than mirrored ones.
    """
    is_resized = config.tta.shifts or config.tta.scales or config.tiles.random_scales
    if manifest.tiles is not None and is_resized:
        keys = "tta.shifts, tta.scales and tiles.random_scales"
        raise ManifestError(
            manifest.path, [f"its rows are tiles already cut, which {keys} cannot change"]
        )
    return _open_source(config, pictures_of(manifest), cached)


def _open_source(config: Config, pictures: Sequence[Picture], cached: bool) -> TileSource:
    return TileSource(
        pictures,
        tiling_from_config(config),
        max_pixels=config.data.max_pixels,
        cache_bytes=int(config.host.cache_gigabytes * 2**30) if cached else 0,
    )


def distortions_from_config(config: Config) -> tuple[list[str], list[str]]:
    """Names the kinds of distortion that rankings train on, and those only evaluated."""
    unseen = list(config.ranking.unseen_types)
    return [name for name in config.ranking.types or DISTORTIONS if name not in unseen], unseen


def changes_from_config(config: Config) -> list[Callable]:
    """Lists the distortions that the training step does itself."""
    if not kind_from_config(config).makes_versions:
        return []
    seen, _ = distortions_from_config(config)
    return [DISTORTIONS[name].on_device for name in device_kinds(seen)]


def versions_from_config(config: Config, photos: Manifest) -> tuple[Manifest, TileSource]:
    """Makes the degraded versions of clean photographs that an evaluation scores."""
    manifest, pictures = make_versions(
        photos, *distortions_from_config(config), crop=config.ranking.crop, seed=config.seed
    )
    return manifest, _open_source(config, pictures, cached=True)


def views_from_config(config: Config) -> tuple[View, ...]:
    """Lists the looks at an image whose answers are averaged."""
    return make_views(config.tta.flips, config.tta.shifts, config.tta.scales)


def edge_band_from_config(config: Config) -> tuple[int, int]:
    """Gives the band of edge pixels that training tiles must be in."""
    low, high = config.tiles.edge_sum_min, config.tiles.edge_sum_max
    return low, NO_LIMIT if high < 0 else high


def loss_name_from_config(config: Config) -> str:
    """Names the loss: the one asked for, else the label kind's first."""
    return config.loss.name or default_loss(config.data.label_kind)


def task_from_config(config: Config) -> Task:
    """Makes the task that the label kind asks for."""
    data, loss = config.data, TASKS[config.data.label_kind][loss_name_from_config(config)]
    labels = Labels(
        len(data.classes),
        data.minimum,
        data.maximum,
        len(data.count_columns),
        1 + len(data.manifests),
    )
    return loss.make(labels, **(config.loss[loss.section] if loss.section else {}))


def _trainable_layers(config: Config) -> int | None:
    layers = config.model.trainable_layers
    return None if layers < 0 else layers


def fusion_from_config(config: Config) -> nn.Module:
    """Makes the fusion, with the keys of its section."""
    name = config.model.fusion
    if name not in config.fusion:  # There is nothing to set, and nothing to learn.
        return FUSIONS[name]()
    return FUSIONS[name](**config.fusion[name], dtype=jnp.dtype(config.model.dtype))


def encoder_from_config(config: Config, axis_name: str | None = None) -> nn.Module:
    """Makes the encoder, with the keys of its section; `axis_name` as in `Placement`."""
    model = config.model
    keys = {
        "dtype": jnp.dtype(model.dtype),
        "axis_name": axis_name,
        "pooling": model.pooling,
        "norm_statistics": model.norm_statistics,
    }
    if model.encoder in config.encoder:
        keys |= config.encoder[model.encoder]
    module = ENCODERS[model.encoder]
    if any(field.name == "trainable_layers" for field in dataclasses.fields(module)):
        keys["trainable_layers"] = _trainable_layers(config)
    return module(**keys)


def model_from_config(config: Config, axis_name: str | None = None) -> QualityModel:
    """Makes the network; `axis_name` as in `Placement`."""
    model, dtype = config.model, jnp.dtype(config.model.dtype)
    task = task_from_config(config)
    make_head = CoralHead if task.has_shared_weight else TwoLayerHead
    if task.projection_dim:
        make_head = partial(ProjectionHead, projection_dim=task.projection_dim)
    return QualityModel(
        encoder=encoder_from_config(config, axis_name),
        fusion=fusion_from_config(config),
        head=make_head(
            hidden_dim=model.hidden_dim,
            outputs=task.outputs,
            dropout=model.dropout,
            dtype=dtype,
            # An output drawn at random from thousands of dimensions is soon far off the scale, and
            # the few steps that a few dozen images are good for do not bring it back.
            begins_at_zero=task.target is not None,
        ),
        embedding_norm=EmbeddingNorm(axis_name) if model.norm_embeddings else None,
        set_scales=SetScales(1 + len(config.data.manifests)) if config.data.manifests else None,
        tiles_per_chunk=config.bags.tiles_per_chunk,
    )


def is_trainable_from_config(config: Config) -> Callable[[ParameterPath], bool]:
    """Says which parameters an update may change."""
    return partial(is_trainable, trainable_layers=_trainable_layers(config))


def random_variables_from_config(config: Config) -> dict[str, Any]:
    """Draws the parameters of the whole network, and its first statistics."""
    # It runs once: on a CPU, optimising it takes longer than all the draws.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(partial(_draw_variables, config), compiler_options=options)()


def _draw_variables(config: Config) -> dict[str, Any]:
    model, size = model_from_config(config), config.tiles.size
    batch = {
        "tiles": jnp.zeros((1, 1, size, size, 3)),
        "tile_mask": jnp.ones((1, 1), bool),
        "tile_position": jnp.zeros((1, 1, 2), jnp.int32),
        "grid_shape": jnp.ones((1, 2), jnp.int32),
        "features": jnp.zeros((1, 1, feature_width(config.data.features))),
        "set_id": jnp.zeros(1, jnp.int32),
    }
    variables = model.init(jax.random.key(config.seed), batch)
    return {kind: dict(variables[kind]) for kind in ("params", "batch_stats")}


def abstract_state_from_config(config: Config) -> TrainState:
    """Gives the shapes of a run's state, on one device, without computing or loading any."""
    optimizer, _ = optimizer_from_config(config, steps_per_epoch=1)
    state = jax.eval_shape(
        lambda: create_state(
            _draw_variables(config),
            optimizer,
            is_trainable_from_config(config),
            config.optimizer.ema_decay,
            config.optimizer.start_share,
        )
    )
    sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), state
    )


def total_steps_from_config(config: Config, steps_per_epoch: int) -> int:
    """Counts the updates of a run, one at least."""
    return max(1, round(config.epochs * steps_per_epoch))


def optimizer_from_config(
    config: Config, steps_per_epoch: int
) -> tuple[optax.GradientTransformation, Callable]:
    """Makes the optimizer and its learning-rate schedule."""
    optimizer = config.optimizer
    peak, warmup_steps = optimizer.learning_rate, round(optimizer.warmup_epochs * steps_per_epoch)
    if optimizer.decay == "cosine":
        schedule = cosine_decay(
            peak, warmup_steps, total_steps_from_config(config, steps_per_epoch)
        )
    else:
        every_steps = max(1, round(optimizer.decay_every_epochs * steps_per_epoch))
        schedule = step_decay(peak, warmup_steps, optimizer.decay_factor, every_steps)
    return (
        make_optimizer(
            schedule,
            weight_decay=optimizer.weight_decay,
            encoder_factor=optimizer.encoder_factor,
            gradient_clip=optimizer.gradient_clip,
        ),
        schedule,
    )


def augmentation_from_config(config: Config) -> dict[str, Any]:
    """Gives the arguments of `augment`."""
    return config.augment.to_dict()
