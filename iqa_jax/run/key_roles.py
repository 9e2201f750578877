"""What the keys of a config are for: which may change between two starts of a run."""

from typing import Any

import ml_collections

# Keys that a later start may change without making another run of it.
FREE_KEYS = ("epochs", "checkpoint_every_steps", "log_every_steps", "early_stopping.patience",
              "data.threads", "data.workers", "data.cache_gigabytes", "data.manifest",
              "evaluation.chunk_tiles",
              "parallel.mode", "prepare.what", "prepare.images_per_shard",
              "compare.fusions", "compare.splits", "compare.fractions", "data.split_rows",
              "protocol.kind", "protocol.splits",
              "protocol.fractions", "protocol.test_manifest", "protocol.baselines",
              "noise.folds", "noise.filter", "noise.band", "noise.keep_share",
              "tta.flips", "tta.shifts", "tta.scales",
              "uncertainty.passes", "uncertainty.split", "uncertainty.coverage",
              "uncertainty.scale_intervals", "uncertainty.ood", "uncertainty.ood_quantile",
              "uncertainty.ood_images",
              "anomaly.kind", "anomaly.tiles", "anomaly.memory", "anomaly.quantile")  # fmt: skip

# Sections that say which runs there are, not what one of them is.
_STUDIES = ("compare", "protocol", "noise")


def without_studies(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Gives the part of a config that says what one run is."""
    return {name: value for name, value in config.to_dict().items() if name not in _STUDIES}


def answer_keys(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Gives the keys that the answers of an ensemble must have in common."""
    data, tiles = config.data, config.tiles
    return {
        **{f"tiles.{key}": tiles[key] for key in ("size", "stride", "edge", "shrink")},
        "data.label_kind": data.label_kind,
        "data.classes": tuple(data.classes),
        "data.minimum": data.minimum,
        "data.maximum": data.maximum,
        "data.higher_is_better": data.higher_is_better,
        "data.features": tuple(data.features),
        "model.fusion": config.model.fusion,
    }
