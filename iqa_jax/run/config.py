"""A config's life as JSON, and what the label kind makes of its keys."""

import json
from collections.abc import Mapping
from typing import Any

import ml_collections

from configs import default
from iqa_jax.analysis.kinds import KINDS, KNN, Kind
from iqa_jax.run.renamed import flatten, rename_keys


def default_config() -> ml_collections.ConfigDict:
    """Gives the config that recipes change: every key with its default."""
    return default.get_config()


def copy_config(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Gives a config of its own, to be changed for another run."""
    return ml_collections.ConfigDict(config.to_dict())


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
    """Reads what `config_to_json` wrote, maybe long ago; lists become tuples again.

    A key that is missing has its default, with which a run is what it was without the key; one
    under an older name has its name of today.
    """

    def rebuild(value: Any, defaults: Any) -> Any:
        if isinstance(value, Mapping):
            defaults = defaults if isinstance(defaults, Mapping) else {}
            rebuilt = {key: rebuild(child, defaults.get(key)) for key, child in value.items()}
            return {**defaults, **rebuilt}
        return tuple(value) if isinstance(value, list) else value

    written = rename_keys(json.loads(text))
    return ml_collections.ConfigDict(rebuild(written, default.get_config().to_dict()))


def differing_keys(old: ml_collections.ConfigDict, new: ml_collections.ConfigDict) -> list[str]:
    """Lists the keys in which two configs differ, as `key: old -> new`."""
    before, after = dict(flatten(old.to_dict())), dict(flatten(new.to_dict()))
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]
