"""What the keys of a config are for: which may change between two starts of a run."""

from typing import Any

import ml_collections

# What a host can do, and what a mode does with runs: no part of what one run is.
_NO_PART_OF_A_RUN = {"host", "prepare", "compare", "protocol", "noise"}
# Fitted after training, anew where it changes.
_AFTER_TRAINING = {"tta", "uncertainty", "anomaly"}
# Single keys of a run that only say how long it is, what it tells of itself and where its rows are.
_FREE_KEYS = {
    *("epochs", "early_stopping.patience", "checkpoint_every_steps", "log_every_steps"),
    *("data.manifest", "data.split_rows"),
}


def is_free(key: str) -> bool:
    """Says whether a later start may change a key without making another run of it."""
    if key.startswith("data.manifests.") and key.endswith(".path"):
        return True
    return key in _FREE_KEYS or key.split(".")[0] in _NO_PART_OF_A_RUN | _AFTER_TRAINING


def run_part(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Gives the part of a config that says what one run is."""
    sections = config.to_dict().items()
    return {name: value for name, value in sections if name not in _NO_PART_OF_A_RUN}


def answer_keys(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Gives the keys that the answers of an ensemble must have in common."""
    data, tiles = config.data, config.tiles
    return {
        **{
            f"tiles.{key}": tiles[key]
            for key in ("size", "stride", "edge", "shrink", "reference_side")
        },
        "data.label_kind": data.label_kind,
        "data.classes": tuple(data.classes),
        "data.minimum": data.minimum,
        "data.maximum": data.maximum,
        "data.higher_is_better": data.higher_is_better,
        "data.features": tuple(data.features),
        "model.fusion": config.model.fusion,
    }
