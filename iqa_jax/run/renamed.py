"""Keys under the names that they had once, so that runs from then open and people find them."""

from collections.abc import Iterator, Mapping
from typing import Any

# Old name -> what it is called now; several where each owner has its own.
_NOW: dict[str, tuple[str, ...]] = {
    "data.threads": ("host.threads",),
    "data.workers": ("host.workers",),
    "data.cache_gigabytes": ("host.cache_gigabytes",),
    "evaluation.chunk_tiles": ("host.tiles_per_chunk",),
    "parallel.mode": ("host.parallel",),
    "passes_per_update": ("accumulation_steps",),
    "bags.tiles_per_pass": ("bags.tiles_per_chunk",),
    "model.width_multiplier": ("encoder.mobilenet_v2.width_multiplier",),
    "model.drop_block_size": ("encoder.mobilenet_v2.drop_block_size",),
    "model.drop_block_keep": ("encoder.mobilenet_v2.drop_block_keep",),
    "fusion.attention_dim": (
        "fusion.attention.attention_dim",
        "fusion.gated_attention.attention_dim",
        "fusion.gated_attention_positions.attention_dim",
        "fusion.tile_vit.attention_dim",
    ),
    "fusion.positions": ("fusion.gated_attention_positions.positions", "fusion.tile_vit.positions"),
    "fusion.position_dim": ("fusion.gated_attention_positions.position_dim",),
    "fusion.position_cells": (
        "fusion.gated_attention_positions.position_cells",
        "fusion.tile_vit.position_cells",
    ),
    "fusion.width": ("fusion.tile_vit.width",),
    "fusion.depth": ("fusion.tile_vit.depth",),
    "fusion.heads": ("fusion.tile_vit.heads",),
    "fusion.mlp_dim": ("fusion.tile_vit.mlp_dim",),
    "fusion.dropout": ("fusion.tile_vit.dropout",),
    "fusion.readout": ("fusion.tile_vit.readout",),
    "loss.label_smoothing": ("loss.cross_entropy.label_smoothing",),
    "loss.sce_alpha": ("loss.sce.alpha",),
    "loss.sce_beta": ("loss.sce.beta",),
    "loss.gce_q": ("loss.gce.q",),
    "loss.plcc_weight": ("loss.regression.plcc_weight",),
    "loss.bins": ("loss.emd.bins",),
    "loss.margin": ("loss.comparison.margin",),
    "loss.projection_dim": ("loss.supcon.projection_dim", "loss.triplet.projection_dim"),
    "loss.temperature": ("loss.supcon.temperature",),
    "loss.triplet_margin": ("loss.triplet.margin",),
    "uncertainty.passes": ("uncertainty.mc_samples",),
}
# Keys that are gone, and the value that every run has had since.
_GONE = {"evaluation.logistic_parameters": 4, "optimizer.encoder_weight_decay": 1e-3}


def new_names(key: str) -> tuple[str, ...]:
    """Gives what a key is called now: itself where it has kept its name."""
    return _NOW.get(key, (key,))


def renaming(key: str) -> str:
    """Says in a clause what became of a key, "" if nothing did."""
    if key in _GONE:
        return f"is gone: it is {_GONE[key]} in every run"
    *others, last = new_names(key)
    if last == key:
        return ""
    return f"is now {', '.join(others)} or {last}" if others else f"is now {last}"


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Gives every key of nested sections, as `section.key`, and its value."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def rename_keys(written: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a config, or some sections of one, with the names of today in place of older ones.

    A key that is gone stays where it had a value of its own: that run is another one.
    """
    renamed: dict[str, Any] = {}
    for old, value in flatten(written):
        if old in _GONE and value == _GONE[old]:
            continue
        for key in new_names(old):
            *sections, name = key.split(".")
            owner = renamed
            for section in sections:
                owner = owner.setdefault(section, {})
            owner[name] = value
    return renamed
