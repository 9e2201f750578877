"""A config's life as JSON, and what the label kind makes of its keys."""

import json
from collections.abc import Mapping
from typing import Any

import ml_collections

from configs import default
from iqa_jax.analysis.kinds import KINDS, KNN, Kind


def default_config() -> ml_collections.ConfigDict:
    """Gives the config that recipes change: every key with its default."""
    return default.get_config()


def label_meaning(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Gives what says what the labels mean, by the names of `Kind` and of `LabelSpec`.

    Args:
      config: of the run, with a known label kind; keys that this kind does not ask for are left.
    """
    data = config.data
    known = {
        "column": data.label_column,
        "classes": tuple(data.classes),
        "marginal": data.marginal,
        "minimum": data.minimum,
        "maximum": data.maximum,
        "higher_is_better": data.higher_is_better,
    }
    return {name: known[name] for name in KINDS[data.label_kind].asks}


def kind_from_config(config: ml_collections.ConfigDict) -> Kind:
    """Says what the answers of a run mean."""
    # Scores that were learnt from pairs are spread over the scale too, though no label is on it.
    scale = {"minimum": config.data.minimum, "maximum": config.data.maximum}
    return KINDS[config.data.label_kind](**scale | label_meaning(config))


def headline_metric(config: ml_collections.ConfigDict) -> str:
    """Names the figure that a run is judged by."""
    metric = config.early_stopping.metric or kind_from_config(config).metrics[0]
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
