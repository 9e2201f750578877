"""Checks of a config across its fields, every problem at once, and its life as JSON."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections

from input_pipeline.distortions import DISTORTIONS
from input_pipeline.features import MEASURED
from input_pipeline.images import SHRINKS
from input_pipeline.labels import PAIR_KINDS
from input_pipeline.rankings import GROUP_SIZE
from input_pipeline.views import FLIPS
from iqa_jax.analysis.anomaly import DETECTORS
from iqa_jax.analysis.answers import SCORE_KINDS
from iqa_jax.analysis.ood import DISTANCES
from iqa_jax.learning.sharding import PLACEMENTS, check_batch_size
from iqa_jax.learning.tasks import CLASS_CONTRASTS, REGRESSIONS, TASKS, default_loss
from iqa_jax.models.encoder import NORM_STATISTICS, POOLINGS
from iqa_jax.models.fusions import FUSIONS, READOUTS
from iqa_jax.models.positions import POSITIONS
from iqa_jax.setup import (
    ENCODERS,
    distortions_from_config,
    label_from_config,
    task_from_config,
    tiling_from_config,
    views_from_config,
)

WEIGHTS = ("imagenet", "none")
DTYPES = ("float32", "bfloat16")
DECAYS = ("steps", "cosine")
LATE_FUSIONS = dict.fromkeys(SCORE_KINDS, ("mean_score",))  # A vote needs classes.
METRICS = {
    "binary": ("auroc", "auprc", "accuracy", "balanced_accuracy", "f1", "log_loss", "ece"),
    "ordered": (
        "accuracy", "balanced_accuracy", "macro_f1", "quadratic_kappa", "grade_mae", "log_loss",
        "ece",
    ),
    "unordered": ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece"),
    "numeric": ("srcc", "krcc", "plcc", "rmse", "mae"),
    "ranking": ("pair_accuracy",),  # Nothing is chosen by unseen_pair_accuracy.
    "pairs": ("pair_accuracy",),
}  # fmt: skip
LOWER_IS_BETTER = (
    "log_loss", "ece", "grade_mae", "rmse", "mae", "rmse_mapped", "outlier_ratio",
)  # fmt: skip
LOGISTIC_PARAMETERS = (4, 5)
_KNN = "knn_"


class ConfigError(ValueError):
    """Lists everything that is wrong with a config."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("the config cannot run:\n" + "\n".join(f"  {line}" for line in problems))


def fusions_for(kind: str, model_fusion: str) -> tuple[str, ...]:
    """Names the image-level answers that a run gives: late fusions and the network's own."""
    return (*LATE_FUSIONS.get(kind, ("mean_score", "vote")), model_fusion)


def headline_metric(config: ml_collections.ConfigDict) -> str:
    """Names the figure that a run is judged by."""
    metric = config.early_stopping.metric or METRICS[config.data.label_kind][0]
    # Neighbours choose the checkpoint of embeddings, but do not answer.
    return metric.removeprefix(_KNN)


def check_run(config: ml_collections.ConfigDict) -> None:
    """Refuses a config that cannot be right, or that these devices cannot train.

    Raises:
      ConfigError: with one line per problem.
      PlacementError: the devices cannot share a batch equally.
    """
    check_config(config)
    check_batch_size(
        config.batch_size, jax.device_count(), jax.process_count(), config.passes_per_update
    )


def check_config(config: ml_collections.ConfigDict) -> None:
    """Refuses a config whose fields cannot be right together.

    Raises:
      ConfigError: with one line per problem.
    """
    problems = []

    def choose(key: str, value: str, choices) -> bool:
        if value in choices:
            return True
        near = difflib.get_close_matches(value, list(choices), n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        problems.append(f'{key} is "{value}"; the choices are {", ".join(choices)}{hint}')
        return False

    def limit(key: str, value: float, low: float, high: float, what: str) -> None:
        if not low <= value <= high:
            problems.append(f"{key} is {value}; it must be {what}")

    if not config.data.manifest:
        problems.append("data.manifest is empty; give --config.data.manifest=FILE.csv")
    kind = config.data.label_kind
    if choose("data.label_kind", kind, TASKS):
        loss = config.loss.name or default_loss(kind)
        metrics = ["", *METRICS[kind]]
        if loss in CLASS_CONTRASTS:
            metrics += [_KNN + name for name in METRICS[kind] if name not in LOWER_IS_BETTER]
        choose("early_stopping.metric", config.early_stopping.metric, metrics)
        fusions = fusions_for(kind, config.model.fusion)
        choose("evaluation.fusion", config.evaluation.fusion, fusions)
        if choose("loss.name", loss, TASKS[kind]):
            problems += _loss_problems(config, loss)
        if kind in SCORE_KINDS and config.balanced_sampling:
            problems.append(f"balanced_sampling needs classes; set it to False for {kind} labels")
        if kind in PAIR_KINDS:
            problems += _pair_problems(config)
    choose("model.fusion", config.model.fusion, FUSIONS)
    if choose("model.encoder", config.model.encoder, ENCODERS):
        problems += _encoder_problems(config)
    choose("fusion.positions", config.fusion.positions, POSITIONS)
    choose("fusion.readout", config.fusion.readout, READOUTS)
    choose("model.pooling", config.model.pooling, POOLINGS)
    weights = config.model.weights
    if weights not in WEIGHTS and not Path(weights, "config.json").is_file():
        problems.append(
            f'model.weights is "{weights}"; give {", ".join(WEIGHTS)}, or the workdir of a run'
        )
    if choose("model.weights_of", config.model.weights_of, ("encoder", "all")):
        if config.model.weights_of == "all" and weights in WEIGHTS:
            problems.append(
                f'model.weights_of is "all", but model.weights is "{weights}", which has no fusion '
                "and no head; name a workdir"
            )
    choose("model.dtype", config.model.dtype, DTYPES)
    choose("model.norm_statistics", config.model.norm_statistics, NORM_STATISTICS)
    if config.tiles.shrink not in SHRINKS:
        numbers = ", ".join(map(str, SHRINKS))
        problems.append(f"tiles.shrink is {config.tiles.shrink}; the choices are {numbers}")
    choose("prepare.what", config.prepare.what, ("images", "tiles"))
    choose("optimizer.decay", config.optimizer.decay, DECAYS)
    choose("parallel.mode", config.parallel.mode, PLACEMENTS)
    choose("uncertainty.ood", config.uncertainty.ood, ("none", *DISTANCES))
    if choose("anomaly.kind", config.anomaly.kind, ("none", *DETECTORS)):
        if config.anomaly.kind != "none" and kind not in ("binary", "ordered"):
            problems.append("anomaly.kind is fitted on good images, which need a best class: "
                            "binary or ordered labels")  # fmt: skip
    if choose("tta.flips", config.tta.flips, FLIPS):
        problems += _confidence_problems(config)
    infinite = float("inf")
    for key, low, high, what in (
        ("batch_size", 1, infinite, "1 or more"),
        ("passes_per_update", 1, infinite, "1 or more"),
        ("epochs", 1, infinite, "1 or more"),
        ("evaluate_every_epochs", 1e-6, infinite, "more than 0"),
        ("checkpoint_every_steps", 1, infinite, "1 or more"),
        ("log_every_steps", 1, infinite, "1 or more"),
        ("data.max_pixels", 1, infinite, "1 or more"),
        ("data.cache_gigabytes", 0, infinite, "0 or more"),
        ("prepare.images_per_shard", 1, infinite, "1 or more"),
        ("data.threads", 1, 1024, "from 1 to 1024"),
        ("data.workers", 0, 1024, "from 0 to 1024"),
        ("tiles.size", 32, infinite, "32 or more: the encoder halves a tile five times"),
        ("augment.hue_jitter", 0, 0.5, "from 0 to 0.5"),
        ("augment.saturation_jitter", 0, 1, "from 0 to 1"),
        ("model.width_multiplier", 0.05, 10, "from 0.05 to 10"),
        ("model.trainable_layers", -1, 52, "-1 (all) or 0 to 52"),
        ("model.hidden_dim", 1, infinite, "1 or more"),
        ("model.dropout", 0, 0.99, "from 0 to 0.99"),
        ("model.drop_block_size", 0, 7, "from 0 (off) to 7"),
        ("model.drop_block_keep", 0.01, 1, "from 0.01 to 1"),
        ("fusion.attention_dim", 1, infinite, "1 or more"),
        ("fusion.position_dim", 8, infinite, "8 or more"),
        ("fusion.position_cells", 1, infinite, "1 or more"),
        ("fusion.width", 8, infinite, "8 or more"),
        ("fusion.depth", 1, infinite, "1 or more"),
        ("fusion.heads", 1, infinite, "1 or more"),
        ("fusion.mlp_dim", 1, infinite, "1 or more"),
        ("fusion.dropout", 0, 0.99, "from 0 to 0.99"),
        ("loss.label_smoothing", 0, 0.99, "from 0 to 0.99"),
        ("loss.sce_alpha", 0, infinite, "0 or more"),
        ("loss.sce_beta", 0, infinite, "0 or more"),
        ("loss.gce_q", 1e-4, 1, "more than 0 and at most 1"),
        ("loss.plcc_weight", 0, infinite, "0 or more"),
        ("loss.tile_weight", 0, infinite, "0 or more"),
        ("loss.projection_dim", 2, infinite, "2 or more"),
        ("loss.temperature", 1e-3, infinite, "0.001 or more"),
        ("loss.triplet_margin", 1e-6, 4, "more than 0 and at most 4"),
        ("loss.bins", 2, 1000, "from 2 to 1000"),
        ("loss.margin", 1e-6, 1, "more than 0 and at most 1"),
        ("ranking.crop", 32, infinite, "32 or more"),
        ("optimizer.learning_rate", 0, infinite, "0 or more"),
        ("optimizer.weight_decay", 0, infinite, "0 or more"),
        ("optimizer.warmup_epochs", 0, infinite, "0 or more"),
        ("optimizer.decay_factor", 1e-9, 1, "more than 0 and at most 1"),
        ("optimizer.decay_every_epochs", 1e-6, infinite, "more than 0"),
        ("optimizer.encoder_weight_decay", 0, infinite, "0 or more"),
        ("optimizer.encoder_factor", 0, infinite, "0 or more"),
        ("optimizer.gradient_clip", 1e-12, infinite, "more than 0"),
        ("optimizer.ema_decay", 0, 0.99999, "from 0 (off) to 0.99999"),
        ("early_stopping.patience", 1, infinite, "1 or more"),
        ("bags.tiles", 1, infinite, "1 or more"),
        ("bags.tiles_per_pass", 0, infinite, "0 (all) or more"),
        ("bags.copies", 1, infinite, "1 or more"),
        ("evaluation.chunk_tiles", 1, infinite, "1 or more"),
        ("tta.shifts", 0, 16, "from 0 to 16"),
        ("uncertainty.passes", 0, 1000, "from 0 (off) to 1000"),
        ("uncertainty.coverage", 0.01, 0.999, "from 0.01 to 0.999"),
        ("uncertainty.ood_quantile", 0.01, 0.999, "from 0.01 to 0.999"),
        ("uncertainty.ood_images", 2, infinite, "2 or more"),
        ("anomaly.tiles", 2, infinite, "2 or more"),
        ("anomaly.memory", 1, infinite, "1 or more"),
        ("anomaly.quantile", 0, 1, "from 0 to 1"),
    ):
        value = config
        for part in key.split("."):
            value = value[part]
        limit(key, value, low, high, what)
    parameters = config.evaluation.logistic_parameters
    if parameters not in LOGISTIC_PARAMETERS:
        problems.append(f"evaluation.logistic_parameters is {parameters}; give 4 or 5")
    if len(config.data.fractions) != 3:
        problems.append(
            f"data.fractions is {config.data.fractions}; give three shares: train, val, test"
        )
    elif not config.data.fractions[1] and config.early_stopping.metric:
        problems.append(
            "data.fractions leaves nothing for val, where early_stopping.metric is read off; give "
            'val a share, or set early_stopping.metric to "" to train all epochs'
        )
    if 0 <= config.tiles.edge_sum_max < config.tiles.edge_sum_min:
        problems.append("tiles.edge_sum_max is below tiles.edge_sum_min: no tile would be left")
    if config.bags.cached and config.model.trainable_layers != 0:
        problems.append(
            "bags.cached trains on the embeddings of a frozen encoder; set model.trainable_layers=0"
        )
    if config.loss.tile_weight and config.bags.tiles == 1:
        problems.append(
            "loss.tile_weight adds a loss per tile to that of the image, but bags.tiles is 1: "
            "every example is a tile; set bags.tiles to 16, say, or loss.tile_weight to 0"
        )
    if config.bags.cached and config.bags.tiles_per_pass:
        problems.append("bags.cached encodes nothing in training; set bags.tiles_per_pass=0")
    for name in MEASURED:
        if config.bags.cached and name in config.data.features:
            problems.append(f'bags.cached never sees pixels; take "{name}" out of data.features')
    for build in (label_from_config, tiling_from_config):
        try:
            build(config)
        except ValueError as error:
            problems.append(str(error))
    fusion = config.fusion
    if fusion.width % max(fusion.heads, 1):
        problems.append(
            f"fusion.width is {fusion.width}; it must be a multiple of fusion.heads, {fusion.heads}"
        )
    for key in ("width", "position_dim"):
        if fusion.positions == "sincos_2d" and fusion[key] % 4:
            problems.append(
                f"fusion.{key} is {fusion[key]}; sincos_2d positions need a multiple of 4"
            )
    if config.model.fusion == "gated_attention_positions" and fusion.positions == "none":
        problems.append(
            'model.fusion is "gated_attention_positions" and fusion.positions is "none"; choose '
            'positions, or "gated_attention"'
        )
    if config.model.weights == "none" and config.model.trainable_layers >= 0:
        problems.append(
            'model.trainable_layers freezes layers that model.weights = "none" leaves random; '
            "set it to -1"
        )
    if problems:
        raise ConfigError(problems)


def _encoder_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists the keys that the encoder has no use for."""
    model, problems = config.model, []
    if model.encoder == "mobilenet_v2":
        return problems
    if model.weights == "imagenet":
        problems.append(
            f'model.weights is "imagenet", which no {model.encoder} has learnt; give "none", or '
            "the workdir of a run"
        )
    if model.trainable_layers >= 0:
        problems.append(
            "model.trainable_layers counts the convolutions of mobilenet_v2; all of "
            f"{model.encoder} trains: set it to -1"
        )
    if model.drop_block_size:
        problems.append(f"model.drop_block_size: {model.encoder} has no DropBlock; set it to 0")
    return problems


def _loss_problems(config: ml_collections.ConfigDict, name: str) -> list[str]:
    """Lists the keys that the named loss of the label kind has no use for, or lacks."""
    data, loss = config.data, config.loss
    problems = []
    if loss.plcc_weight and name not in REGRESSIONS:
        problems.append(
            f"loss.plcc_weight is {loss.plcc_weight}; only {', '.join(REGRESSIONS)} take it"
        )
    if data.label_std_column and data.label_kind != "numeric":
        problems.append("data.label_std_column needs numeric labels")
    if data.count_columns and (data.label_kind, name) != ("numeric", "emd"):
        problems.append(
            'data.count_columns needs numeric labels and loss.name "emd", which learns from them'
        )
    if len(data.count_columns) == 1:
        problems.append("data.count_columns names one column; give one per score")
    if name in CLASS_CONTRASTS and loss.tile_weight:
        problems.append(f"loss.tile_weight is {loss.tile_weight}; {name} compares images only")
    if name in CLASS_CONTRASTS and config.batch_size < 2 * len(data.classes):
        problems.append(
            f"batch_size is {config.batch_size}; {name} compares the examples of a batch, which "
            f"should hold two of each class: give {2 * len(data.classes)} or more"
        )
    if config.passes_per_update > 1 and task_from_config(config).batch_loss:
        term = "loss.plcc_weight" if name in REGRESSIONS else name
        problems.append(
            f"passes_per_update is {config.passes_per_update}, but {term} compares the examples of "
            "a batch, which must be together: set passes_per_update to 1"
        )
    if loss.use_std_weights and not data.label_std_column:
        problems.append("loss.use_std_weights needs data.label_std_column")
    return problems


def _pair_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what cannot be where pairs of images are compared."""
    problems, ranking, kind = [], config.ranking, config.data.label_kind
    if config.bags.cached:
        problems.append(f"bags.cached has one embedding per image; {kind} needs the pixels")
    if config.data.features:
        problems.append(f"data.features are no part of what {kind} compares; leave them out")
    if config.loss.tile_weight:
        problems.append(f"loss.tile_weight needs a label per image, which {kind} has not")
    group, processes = GROUP_SIZE if kind == "ranking" else 2, jax.process_count()
    if config.batch_size % (group * processes):
        share = f" in each of {processes} processes" if processes > 1 else ""
        problems.append(
            f"batch_size is {config.batch_size}; {kind} compares {group} examples with each other"
            f"{share}: give a multiple of {group * processes}"
        )
    if kind == "ranking":
        for key in ("types", "unseen_types"):
            for name in ranking[key]:
                if name not in DISTORTIONS:
                    problems.append(
                        f"ranking.{key} has {name!r}; the choices are {', '.join(DISTORTIONS)}"
                    )
        if not distortions_from_config(config)[0]:
            problems.append("ranking.unseen_types leaves nothing to train on")
        if both := sorted({*ranking.types} & {*ranking.unseen_types}):
            problems.append(f"{both[0]} is in ranking.types and in ranking.unseen_types")
    return problems


def _confidence_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what views and uncertainty cannot be in a run like this."""
    problems, uncertainty = [], config.uncertainty
    outside = [scale for scale in config.tta.scales if not 0.1 <= scale <= 4 or scale == 1]
    if outside:
        problems.append(f"tta.scales has {outside[0]}; give factors from 0.1 to 4, without 1")
    views = len(views_from_config(config))
    if config.bags.cached and views > 1:
        problems.append(
            "bags.cached answers from embeddings and never sees pixels, which tta changes; set "
            'tta.flips="none", tta.shifts=0 and tta.scales="()"'
        )
    if uncertainty.passes == 1:
        problems.append("uncertainty.passes is 1; one pass has no spread: give 0 (off) or 20, say")
    is_dropping = config.model.dropout > 0 or (
        config.model.fusion == "tile_vit" and config.fusion.dropout > 0
    )
    if uncertainty.passes and not is_dropping:
        problems.append("uncertainty.passes needs dropout, and model.dropout is 0")
    if uncertainty.scale_intervals and (
        config.data.label_kind != "numeric" or (not uncertainty.passes and views == 1)
    ):
        problems.append(
            "uncertainty.scale_intervals needs numeric labels, and uncertainty.passes or tta"
        )
    if uncertainty.split == "train":
        problems.append('uncertainty.split is "train", whose answers flatter; name another split')
    return problems


def config_to_json(config: ml_collections.ConfigDict) -> str:
    """Writes a config so that `config_from_json` reads the same one."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True)


def config_from_json(text: str) -> ml_collections.ConfigDict:
    """Reads what `config_to_json` wrote; lists become the tuples they were."""

    def rebuild(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: rebuild(child) for key, child in value.items()}
        return tuple(value) if isinstance(value, list) else value

    return ml_collections.ConfigDict(rebuild(json.loads(text)))


def differing_keys(old: ml_collections.ConfigDict, new: ml_collections.ConfigDict) -> list[str]:
    """Lists the keys in which two configs differ, as `key: old -> new`."""

    def flatten(config, prefix=""):
        for key, value in config.items():
            if isinstance(value, ml_collections.ConfigDict):
                yield from flatten(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    before, after = dict(flatten(old)), dict(flatten(new))
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]
