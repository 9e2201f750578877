"""A config's life as JSON, and what the label kind makes of its keys."""

import json
from collections.abc import Mapping
from typing import Any

import ml_collections

from configs import default
from iqa_jax.analysis.kinds.kind import SCORE_KINDS

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
# Before the name of a metric: of an embedding's nearest neighbours in `train`.
KNN = "knn_"


def fusions_for(kind: str, model_fusion: str) -> tuple[str, ...]:
    """Names the image-level answers that a run gives: late fusions and the network's own."""
    return (*LATE_FUSIONS.get(kind, ("mean_score", "vote")), model_fusion)


def headline_metric(config: ml_collections.ConfigDict) -> str:
    """Names the figure that a run is judged by."""
    metric = config.early_stopping.metric or METRICS[config.data.label_kind][0]
    # Neighbours choose the checkpoint of embeddings, but do not answer.
    return metric.removeprefix(KNN)


def config_to_json(config: ml_collections.ConfigDict) -> str:
    """Writes a config so that `config_from_json` reads the same one."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True)


def config_from_json(text: str) -> ml_collections.ConfigDict:
    """Reads what `config_to_json` wrote, maybe before a key was there; lists become tuples again.

    A key that is missing has its default, with which a run is what it was without the key.
    """

    def rebuild(value: Any, defaults: Any) -> Any:
        if isinstance(value, Mapping):
            defaults = defaults if isinstance(defaults, Mapping) else {}
            rebuilt = {key: rebuild(child, defaults.get(key)) for key, child in value.items()}
            return {**defaults, **rebuilt}
        return tuple(value) if isinstance(value, list) else value

    return ml_collections.ConfigDict(rebuild(json.loads(text), default.get_config().to_dict()))


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
