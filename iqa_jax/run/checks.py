"""Checks of a config across its keys: every problem at once, and what to do about each."""

import difflib
from collections.abc import Collection, Mapping
from functools import reduce
from operator import getitem
from typing import Any

import jax
import ml_collections

from configs.default import opinion_set
from input_pipeline.files.reduction import SHRINKS
from input_pipeline.tiles.views import FLIPS
from iqa_jax.analysis.detectors import DETECTORS
from iqa_jax.analysis.kinds import KINDS, KNN, fusions_for
from iqa_jax.analysis.metric_table import LOWER_IS_BETTER
from iqa_jax.analysis.ood import DISTANCES
from iqa_jax.learning.sharding import PLACEMENTS, check_batch_size
from iqa_jax.learning.tasks import CLASS_CONTRASTS, TASKS
from iqa_jax.models.encoders import ENCODERS
from iqa_jax.models.encoders.encoder import NORM_STATISTICS, POOLINGS
from iqa_jax.models.fusions import FUSIONS, READOUTS
from iqa_jax.models.positions import POSITIONS
from iqa_jax.run.build import loss_name_from_config
from iqa_jax.run.config import default_config
from iqa_jax.run.renamed import flatten, renaming
from iqa_jax.run.rules import (
    bag_problems,
    confidence_problems,
    data_problems,
    encoder_problems,
    ensemble_problems,
    fusion_problems,
    kind_problems,
    loss_problems,
    weights_problems,
)

_INFINITE = float("inf")
# Key -> what it may be, for any label kind.
_CHOICES = {
    "data.label_kind": TASKS,
    "model.fusion": FUSIONS,
    "model.encoder": ENCODERS,
    "model.pooling": POOLINGS,
    "model.weights_of": ("encoder", "all"),
    "model.dtype": ("float32", "bfloat16"),
    "model.norm_statistics": NORM_STATISTICS,
    "fusion.gated_attention_positions.positions": POSITIONS,
    "fusion.tile_vit.positions": POSITIONS,
    "fusion.tile_vit.readout": READOUTS,
    "tiles.shrink": SHRINKS,
    "prepare.what": ("images", "tiles"),
    "optimizer.decay": ("steps", "cosine"),
    "tta.flips": FLIPS,
    "uncertainty.ood": ("none", *DISTANCES),
    "anomaly.kind": ("none", *DETECTORS),
    "host.parallel": PLACEMENTS,
}
# Key, least, most, and that in words.
_RANGES = (
    # Room above for the seeds that splits and parts count up from it.
    ("seed", 0, 2**31 - 1, "from 0 to 2147483647"),
    ("batch_size", 1, _INFINITE, "1 or more"),
    ("accumulation_steps", 1, _INFINITE, "1 or more"),
    ("epochs", 1e-6, _INFINITE, "more than 0"),
    ("evaluate_every_epochs", 1e-6, _INFINITE, "more than 0"),
    ("checkpoint_every_steps", 1, _INFINITE, "1 or more"),
    ("log_every_steps", 1, _INFINITE, "1 or more"),
    ("data.max_pixels", 1, _INFINITE, "1 or more"),
    ("host.cache_gigabytes", 0, _INFINITE, "0 or more"),
    ("prepare.images_per_shard", 1, _INFINITE, "1 or more"),
    ("host.threads", 1, 1024, "from 1 to 1024"),
    ("host.workers", 0, 1024, "from 0 to 1024"),
    ("tiles.size", 32, _INFINITE, "32 or more: the encoder halves a tile five times"),
    ("tiles.reference_side", 0, _INFINITE, "0 (off) or more"),
    ("tiles.edge_sum_min", 0, _INFINITE, "0 or more"),
    ("tiles.edge_sum_max", -1, _INFINITE, "-1 (no limit) or more"),
    ("augment.hue_jitter", 0, 0.5, "from 0 to 0.5"),
    ("augment.saturation_jitter", 0, 1, "from 0 to 1"),
    ("encoder.mobilenet_v2.width_multiplier", 0.05, 10, "from 0.05 to 10"),
    ("model.trainable_layers", -1, 52, "-1 (all) or 0 to 52"),
    ("model.hidden_dim", 0, _INFINITE, "0 (one layer) or more"),
    ("model.dropout", 0, 0.99, "from 0 to 0.99"),
    ("encoder.mobilenet_v2.drop_block_size", 0, 7, "from 0 (off) to 7"),
    ("encoder.mobilenet_v2.drop_block_keep", 0.01, 1, "from 0.01 to 1"),
    ("fusion.attention.attention_dim", 1, _INFINITE, "1 or more"),
    ("fusion.gated_attention.attention_dim", 1, _INFINITE, "1 or more"),
    ("fusion.gated_attention_positions.attention_dim", 1, _INFINITE, "1 or more"),
    ("fusion.gated_attention_positions.position_dim", 8, _INFINITE, "8 or more"),
    ("fusion.gated_attention_positions.position_cells", 1, _INFINITE, "1 or more"),
    ("fusion.tile_vit.width", 8, _INFINITE, "8 or more"),
    ("fusion.tile_vit.depth", 1, _INFINITE, "1 or more"),
    ("fusion.tile_vit.heads", 1, _INFINITE, "1 or more"),
    ("fusion.tile_vit.mlp_dim", 1, _INFINITE, "1 or more"),
    ("fusion.tile_vit.dropout", 0, 0.99, "from 0 to 0.99"),
    ("fusion.tile_vit.position_cells", 1, _INFINITE, "1 or more"),
    ("fusion.tile_vit.attention_dim", 1, _INFINITE, "1 or more"),
    ("loss.tile_weight", 0, _INFINITE, "0 or more"),
    ("loss.cross_entropy.label_smoothing", 0, 0.99, "from 0 to 0.99"),
    ("loss.sce.alpha", 0, _INFINITE, "0 or more"),
    ("loss.sce.beta", 0, _INFINITE, "0 or more"),
    ("loss.gce.q", 1e-4, 1, "more than 0 and at most 1"),
    ("loss.supcon.projection_dim", 2, _INFINITE, "2 or more"),
    ("loss.supcon.temperature", 1e-3, _INFINITE, "0.001 or more"),
    ("loss.triplet.projection_dim", 2, _INFINITE, "2 or more"),
    ("loss.triplet.margin", 1e-6, 4, "more than 0 and at most 4"),
    ("loss.regression.plcc_weight", 0, _INFINITE, "0 or more"),
    ("loss.emd.bins", 2, 1000, "from 2 to 1000"),
    ("loss.comparison.margin", 1e-6, 1, "more than 0 and at most 1"),
    ("ranking.crop", 32, _INFINITE, "32 or more"),
    ("optimizer.learning_rate", 0, _INFINITE, "0 or more"),
    ("optimizer.weight_decay", 0, _INFINITE, "0 or more"),
    ("optimizer.warmup_epochs", 0, _INFINITE, "0 or more"),
    ("optimizer.decay_factor", 1e-9, 1, "more than 0 and at most 1"),
    ("optimizer.decay_every_epochs", 1e-6, _INFINITE, "more than 0"),
    ("optimizer.encoder_factor", 0, _INFINITE, "0 or more"),
    ("optimizer.gradient_clip", 1e-12, _INFINITE, "more than 0"),
    ("optimizer.ema_decay", 0, 0.99999, "from 0 (off) to 0.99999"),
    ("optimizer.start_share", 0, 0.99, "from 0 (off) to 0.99"),
    ("early_stopping.patience", 1, _INFINITE, "1 or more"),
    ("bags.tiles", 1, _INFINITE, "1 or more"),
    ("bags.tiles_per_chunk", 0, _INFINITE, "0 (all) or more"),
    ("bags.copies", 1, _INFINITE, "1 or more"),
    ("host.tiles_per_chunk", 1, _INFINITE, "1 or more"),
    ("tta.shifts", 0, 16, "from 0 to 16"),
    ("uncertainty.mc_samples", 0, 1000, "from 0 (off) to 1000"),
    ("uncertainty.coverage", 0.01, 0.999, "from 0.01 to 0.999"),
    ("uncertainty.ood_quantile", 0.01, 0.999, "from 0.01 to 0.999"),
    ("uncertainty.ood_images", 2, _INFINITE, "2 or more"),
    ("anomaly.tiles", 2, _INFINITE, "2 or more"),
    ("anomaly.memory", 1, _INFINITE, "1 or more"),
    ("anomaly.quantile", 0, 1, "from 0 to 1"),
)


class ConfigError(ValueError):
    """Lists everything that is wrong with a config."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("the config cannot run:\n" + "\n".join(f"  {line}" for line in problems))


def check_run(config: ml_collections.ConfigDict) -> None:
    """Refuses a config that cannot be right, or that these devices cannot train.

    Raises:
        ConfigError: with one line per problem.
        PlacementError: the devices cannot share a batch equally.
    """
    check_config(config)
    check_batch_size(
        config.batch_size, jax.device_count(), jax.process_count(), config.accumulation_steps
    )


def check_config(config: ml_collections.ConfigDict) -> None:
    """Refuses a config with a value that a key cannot have, or keys that cannot be together.

    Raises:
        ConfigError: with one line per problem.
    """
    if problems := _key_problems(config):
        raise ConfigError(problems)
    choices = _CHOICES | _choices_of_kind(config)
    unknown = {
        key: sentence
        for key, known in choices.items()
        if (sentence := _unknown(f"{key} is", _value(config, key), known))
    }
    problems = list(unknown.values())
    problems += filter(
        None, (_unknown("compare.fusions has", name, FUSIONS) for name in config.compare.fusions)
    )
    for key, low, high, what in _RANGES:
        value = _value(config, key)
        if not low <= value <= high:
            problems.append(f"{key} is {value}; it must be {what}")
    for find_problems in (
        data_problems,
        weights_problems,
        ensemble_problems,
        bag_problems,
        fusion_problems,
    ):
        problems += find_problems(config)
    # Each of these rests on a key whose value must be a known one.
    for key, find_problems in (
        ("data.label_kind", kind_problems),
        ("loss.name", loss_problems),
        ("model.encoder", encoder_problems),
        ("tta.flips", confidence_problems),
    ):
        if key in choices and key not in unknown:
            problems += find_problems(config)
    if problems:
        raise ConfigError(problems)


def _key_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists the keys that no run has, or has under another name: a recipe may set any."""
    known, given = (dict(flatten(one.to_dict())) for one in (default_config(), config))
    known |= {
        f"data.manifests.{name}.{key}": value
        for name in config.data.manifests
        for key, value in opinion_set().items()
    }
    return [
        *(f"{key} {renaming(key) or 'is no key'}" for key in given if key not in known),
        *(f"{key} is missing" for key in known if key not in given),
    ]


def _value(config: ml_collections.ConfigDict, key: str) -> Any:
    return reduce(getitem, key.split("."), config)


def _unknown(what: str, value: Any, choices: Collection) -> str:
    """Gives a sentence that begins so if the value is none of the choices, else ""."""
    if value in choices:
        return ""
    names = [str(choice) for choice in choices]
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    shown = f'"{value}"' if isinstance(value, str) else value
    return f"{what} {shown}; the choices are {', '.join(filter(None, names))}{hint}"


def _choices_of_kind(config: ml_collections.ConfigDict) -> Mapping[str, Collection]:
    """Gives the choices that the label kind leaves; none for an unknown kind."""
    kind = config.data.label_kind
    if kind not in TASKS:
        return {}
    metrics = ["", *KINDS[kind].metrics]
    if loss_name_from_config(config) in CLASS_CONTRASTS:
        metrics += [KNN + name for name in KINDS[kind].metrics if name not in LOWER_IS_BETTER]
    return {
        "early_stopping.metric": metrics,
        "evaluation.fusion": fusions_for(kind, config.model.fusion),
        "loss.name": ("", *TASKS[kind]),
    }
