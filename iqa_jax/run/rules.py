"""Rules of a config: which keys cannot be together, and what to do about it.

Each gives a list of sentences. Those of the label kind, the loss, the encoder and the views need
a known value there, which `config_checks` looks at first.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import ml_collections

from input_pipeline.batches.rankings import GROUP_SIZE
from input_pipeline.distortions.catalogue import DISTORTIONS
from input_pipeline.tiles.features import MEASURED
from iqa_jax.analysis.detectors import DETECTORS
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.learning.tasks import CLASS_CONTRASTS, REGRESSIONS
from iqa_jax.run.build import (
    distortions_from_config,
    label_from_config,
    loss_name_from_config,
    set_shares_from_config,
    sets_from_config,
    task_from_config,
    tiling_from_config,
    views_from_config,
)
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.key_roles import answer_keys
from iqa_jax.run.packed import DEFAULT_SCORER, is_run
from iqa_jax.run.workdir import Workdir

SHARED = ("train", "val", "test")  # Splits that are drawn, in the order of their shares.
# Of a set in a batch, for its PLCC: that of three images is mostly chance, and its gradient large.
_LEAST_FOR_PLCC = 8
WEIGHTS = ("imagenet", "none")  # Of the encoder, besides the workdir of a run.


def data_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what is wrong with where the data is, what its labels mean and how it is cut."""
    data, problems = config.data, []
    if not data.manifest:
        problems.append("data.manifest is empty; give --config.data.manifest=FILE.csv")
    if wrong := share_problems("data.fractions", data.fractions, needed=("train",)):
        problems += wrong
    elif not data.fractions[1] and config.early_stopping.metric:
        problems.append(
            "data.fractions leaves nothing for val, where early_stopping.metric is read off; give "
            'val a share, or set early_stopping.metric to "" to train all epochs'
        )
    if 0 <= config.tiles.edge_sum_max < config.tiles.edge_sum_min:
        problems.append("tiles.edge_sum_max is below tiles.edge_sum_min: no tile would be left")
    if config.tiles.random_scales:
        problems += _scale_problems(config)
    for build in (label_from_config, tiling_from_config):
        try:
            build(config)
        except ValueError as error:
            problems.append(str(error))
    return problems


def _scale_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what training tiles at random scales cannot be used for."""
    problems = factor_problems("tiles.random_scales", config.tiles.random_scales)
    if not config.tiles.random:
        problems.append("tiles.random_scales needs tiles.random; set it to True")
    if config.bags.tiles > 1:
        problems.append(
            "tiles.random_scales is for tiles that are examples of their own; set bags.tiles to 1"
        )
    return problems


def factor_problems(key: str, factors: Sequence[float]) -> list[str]:
    """Says what is wrong with the factors by which a key resizes images."""
    outside = [factor for factor in factors if not 0.1 <= factor <= 4 or factor == 1]
    return [f"{key} has {outside[0]}; give factors from 0.1 to 4, without 1"] if outside else []


def share_problems(key: str, shares: Sequence[float], *, needed: Sequence[str]) -> list[str]:
    """Lists what is wrong with the shares of train, val and test in a key.

    Args:
        key: of the shares.
        shares: what it holds.
        needed: splits that may not be left without a share.
    """
    if len(shares) != len(SHARED):
        return [f"{key} is {shares}; give three shares: {', '.join(SHARED)}"]
    if not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-5:
        return [f"{key} is {shares}; the shares must be from 0 to 1 and sum to 1"]
    return [
        f"{key} is {shares}; {name} needs a share above 0"
        for name, share in zip(SHARED, shares, strict=True)
        if name in needed and not share
    ]


def kind_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what labels of this kind cannot be used for."""
    kind, problems = kind_from_config(config), []
    if config.balanced_sampling and not kind.has_classes and not config.data.manifests:
        problems.append(
            f"balanced_sampling needs classes, or several sets of images; set it to False for "
            f"{kind.name} labels"
        )
    if config.data.manifests:
        problems += _set_problems(config)
    if config.anomaly.kind in DETECTORS and not (kind.has_classes and kind.has_order):
        problems.append(
            "anomaly.kind is fitted on good images, which need a best class: binary or ordered "
            "labels"
        )
    return problems + (_pair_problems(config) if kind.is_of_pairs else [])


def _set_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what several sets of images cannot be used for."""
    problems, data = [], config.data
    if loss_name_from_config(config) not in REGRESSIONS:
        problems.append(
            f"data.manifests joins sets of opinion scores; only {', '.join(REGRESSIONS)} learn "
            "from several"
        )
    for key, is_set in (
        ("data.label_std_column", data.label_std_column),
        ("data.count_columns", data.count_columns),
        ("data.dropped_tiles", data.dropped_tiles),
        ("model.kernel_ridge", config.model.kernel_ridge),
    ):
        if is_set:
            problems.append(f"{key} knows one set of images; leave it out beside data.manifests")
    problems += [
        f"data.manifests.{name}.path is empty; give --config.data.manifests.{name}.path=FILE.csv"
        for name, one in data.manifests.items()
        if not one.path
    ]
    problems += [
        f"data.manifests.{name}.share is {one.share}; it must be more than 0"
        for name, one in data.manifests.items()
        if not one.share > 0
    ]
    shares = set_shares_from_config(config)
    fewest = min(shares) / sum(shares) * config.batch_size if min(shares) > 0 else 0
    is_plcc = config.loss.regression.plcc_weight > 0 and config.balanced_sampling
    if is_plcc and 0 < fewest < _LEAST_FOR_PLCC:
        problems.append(
            f"loss.regression.plcc_weight compares the images of a set within a batch, and of one "
            f"set there are {fewest:.3g} in a batch: they should be {_LEAST_FOR_PLCC} or more; "
            "raise batch_size, or set plcc_weight to 0"
        )
    try:
        sets_from_config(config)
    except ValueError as error:
        problems.append(f"data.manifests: {error}")
    return problems


def weights_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what is wrong with where the weights come from, and which of them train."""
    model, problems = config.model, []
    if model.weights not in WEIGHTS and not is_run(model.weights):
        problems.append(
            f'model.weights is "{model.weights}"; give {", ".join(WEIGHTS)}, {DEFAULT_SCORER}, or '
            "the workdir or the file of a run"
        )
    if model.weights_of == "all" and model.weights in WEIGHTS:
        problems.append(
            f'model.weights_of is "all", but model.weights is "{model.weights}", which has no '
            "fusion and no head; name a workdir"
        )
    if config.optimizer.start_share and model.weights_of != "all":
        problems.append(
            'optimizer.start_share keeps of what has learnt before: model.weights_of must be "all"'
        )
    if config.optimizer.start_share and not config.optimizer.ema_decay:
        problems.append("optimizer.start_share is set against an average: set optimizer.ema_decay")
    if model.weights == "none" and model.trainable_layers >= 0:
        problems.append(
            'model.trainable_layers freezes layers that model.weights = "none" leaves random; '
            "set it to -1"
        )
    return problems


def ensemble_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists runs that cannot answer beside this one: their answers must be of the same tiles."""
    problems, ours = [], answer_keys(config)
    for folder in config.model.ensemble:
        if not Path(folder, "config.json").is_file():
            problems.append(f'model.ensemble has "{folder}"; give the workdirs of finished runs')
            continue
        run = Workdir(folder).config()
        theirs = answer_keys(run)
        problems += [
            f"model.ensemble has {folder}, whose {key} is {theirs[key]}, and here it is {ours[key]}"
            for key in ours
            if theirs[key] != ours[key]
        ]
        if run.model.ensemble:
            problems.append(f"model.ensemble has {folder}, itself an ensemble; name its members")
    if config.model.ensemble and config.data.features:
        problems.append("data.features is scaled by each run; leave it out of an ensemble")
    return problems


def study_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what cannot be where many runs are trained and compared."""
    if config.model.ensemble:
        return ["model.ensemble answers beside a single run; leave it out where many are trained"]
    return []


def bag_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what training examples like these cannot be used for."""
    bags, problems = config.bags, []
    if config.loss.tile_weight and bags.tiles == 1:
        problems.append(
            "loss.tile_weight adds a loss per tile to that of the image, but bags.tiles is 1: "
            "every example is a tile; set bags.tiles to 16, say, or loss.tile_weight to 0"
        )
    if not bags.cached:
        return problems
    if config.model.trainable_layers != 0:
        problems.append(
            "bags.cached trains on the embeddings of a frozen encoder; set model.trainable_layers=0"
        )
    if bags.tiles_per_chunk:
        problems.append("bags.cached encodes nothing in training; set bags.tiles_per_chunk=0")
    for name in MEASURED:
        if name in config.data.features:
            problems.append(f'bags.cached never sees pixels; take "{name}" out of data.features')
    return problems


def fusion_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists keys of a fusion that do not go together."""
    vit, gated, problems = config.fusion.tile_vit, config.fusion.gated_attention_positions, []
    if vit.width % max(vit.heads, 1):
        problems.append(
            f"fusion.tile_vit.width is {vit.width}; it must be a multiple of "
            f"fusion.tile_vit.heads, {vit.heads}"
        )
    for key, width, positions in (
        ("tile_vit.width", vit.width, vit.positions),
        ("gated_attention_positions.position_dim", gated.position_dim, gated.positions),
    ):
        if positions == "sincos_2d" and width % 4:
            problems.append(f"fusion.{key} is {width}; sincos_2d positions need a multiple of 4")
    if config.model.fusion == "gated_attention_positions" and gated.positions == "none":
        problems.append(
            'model.fusion is "gated_attention_positions" and '
            'fusion.gated_attention_positions.positions is "none"; choose positions, or '
            '"gated_attention"'
        )
    return problems


def encoder_problems(config: ml_collections.ConfigDict) -> list[str]:
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
    if config.encoder.mobilenet_v2.drop_block_size:
        problems.append(
            f"encoder.mobilenet_v2.drop_block_size: {model.encoder} has no DropBlock; set it to 0"
        )
    return problems


def loss_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists the keys that the loss has no use for, or lacks."""
    data, loss, name, problems = config.data, config.loss, loss_name_from_config(config), []
    has_scale = kind_from_config(config).has_scale
    plcc_weight = loss.regression.plcc_weight
    if config.model.kernel_ridge and name not in REGRESSIONS:
        problems.append(
            f"model.kernel_ridge answers with a number; only {', '.join(REGRESSIONS)} do"
        )
    if plcc_weight and name not in REGRESSIONS:
        problems.append(
            f"loss.regression.plcc_weight is {plcc_weight}; only {', '.join(REGRESSIONS)} take it"
        )
    if data.label_std_column and not has_scale:
        problems.append("data.label_std_column needs numeric labels")
    if data.count_columns and not (has_scale and name == "emd"):
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
    if config.accumulation_steps > 1 and task_from_config(config).batch_loss:
        term = "loss.regression.plcc_weight" if name in REGRESSIONS else name
        problems.append(
            f"accumulation_steps is {config.accumulation_steps}, but {term} compares the examples "
            "of a batch, which must be together: set accumulation_steps to 1"
        )
    if loss.use_std_weights and not data.label_std_column:
        problems.append("loss.use_std_weights needs data.label_std_column")
    return problems


def _pair_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what cannot be where pairs of images are compared."""
    problems, ranking, kind = [], config.ranking, config.data.label_kind
    makes_versions = kind_from_config(config).makes_versions
    if config.bags.cached:
        problems.append(f"bags.cached has one embedding per image; {kind} needs the pixels")
    if config.data.features:
        problems.append(f"data.features are no part of what {kind} compares; leave them out")
    if config.loss.tile_weight:
        problems.append(f"loss.tile_weight needs a label per image, which {kind} has not")
    group, processes = GROUP_SIZE if makes_versions else 2, jax.process_count()
    if config.batch_size % (group * processes):
        share = f" in each of {processes} processes" if processes > 1 else ""
        problems.append(
            f"batch_size is {config.batch_size}; {kind} compares {group} examples with each other"
            f"{share}: give a multiple of {group * processes}"
        )
    if makes_versions:
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


def confidence_problems(config: ml_collections.ConfigDict) -> list[str]:
    """Lists what views and uncertainty cannot be in a run like this."""
    uncertainty = config.uncertainty
    problems = factor_problems("tta.scales", config.tta.scales)
    views = len(views_from_config(config))
    if uncertainty.mc_samples == 1:
        problems.append(
            "uncertainty.mc_samples is 1; one sample has no spread: give 0 (off) or 20, say"
        )
    is_dropping = config.model.dropout > 0 or (
        config.model.fusion == "tile_vit" and config.fusion.tile_vit.dropout > 0
    )
    if uncertainty.mc_samples and not is_dropping:
        problems.append("uncertainty.mc_samples needs dropout, and model.dropout is 0")
    kind = KINDS.get(config.data.label_kind)  # An unknown one has a sentence of its own.
    if uncertainty.scale_intervals and (
        kind is None or not kind.has_scale or (not uncertainty.mc_samples and views == 1)
    ):
        problems.append(
            "uncertainty.scale_intervals needs numeric labels, and uncertainty.mc_samples or tta"
        )
    if uncertainty.split == "train":
        problems.append('uncertainty.split is "train", whose answers flatter; name another split')
    return problems
