"""Runs from when keys had other names open as they were, and people find the new names."""

import json
import shutil

import pytest
from ml_collections import ConfigDict

from configs import default
from iqa_jax.run import renamed
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.config import config_from_json, config_to_json
from iqa_jax.run.renamed import flatten, new_names, rename_keys
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.confidence import confidence_settings_from_config, read_confidence
from tiny import ROOT

OLD = json.loads((ROOT / "tests" / "golden" / "config_of_old_names.json").read_text())
FUSIONS = ("attention", "gated_attention", "gated_attention_positions", "tile_vit")
# What the old config has under names of its own, written out: key of today -> value.
RENAMED = {
    "host.threads": 3, "host.workers": 5, "host.cache_gigabytes": 1.5,
    "host.tiles_per_chunk": 48, "host.parallel": "pmap",
    "accumulation_steps": 2, "bags.tiles_per_chunk": 6, "uncertainty.mc_samples": 20,
    "encoder.mobilenet_v2.width_multiplier": 0.5, "encoder.mobilenet_v2.drop_block_size": 4,
    "encoder.mobilenet_v2.drop_block_keep": 0.8,
    **{f"fusion.{name}.attention_dim": 96 for name in FUSIONS},
    **{f"fusion.{name}.positions": "hash_grid" for name in FUSIONS[2:]},
    **{f"fusion.{name}.position_cells": 9 for name in FUSIONS[2:]},
    "fusion.gated_attention_positions.position_dim": 32,
    "fusion.tile_vit.width": 64, "fusion.tile_vit.depth": 3, "fusion.tile_vit.heads": 8,
    "fusion.tile_vit.mlp_dim": 100, "fusion.tile_vit.dropout": 0.2,
    "fusion.tile_vit.readout": "mean",
    "loss.cross_entropy.label_smoothing": 0.05, "loss.sce.alpha": 0.3, "loss.sce.beta": 0.4,
    "loss.gce.q": 0.6, "loss.regression.plcc_weight": 0.7, "loss.emd.bins": 11,
    "loss.comparison.margin": 0.15, "loss.supcon.projection_dim": 24,
    "loss.triplet.projection_dim": 24, "loss.supcon.temperature": 0.25,
    "loss.triplet.margin": 0.35,
}  # fmt: skip


def test_an_old_config_has_the_same_values_under_the_names_of_today():
    config = config_from_json(json.dumps(OLD))
    default_keys = dict(flatten(default.get_config().to_dict()))
    expected = default_keys | RENAMED | {"protocol.baselines": ("svr",)}
    assert dict(flatten(config.to_dict())) == expected
    # Each of those values is another than the default, so that none can be lost unseen.
    assert all(default_keys[key] != value for key, value in RENAMED.items())
    assert config_from_json(config_to_json(config)).to_dict() == config.to_dict()


def test_every_key_of_an_old_config_is_there_or_gone_for_a_reason():
    known = dict(flatten(default.get_config().to_dict()))
    for key, _ in flatten(OLD):
        assert key in renamed._GONE or all(name in known for name in new_names(key)), key
    for key in renamed._NOW:
        assert key in dict(flatten(OLD)) and key not in known, key


def test_a_key_that_is_gone_stays_where_it_had_another_value():
    old = {"optimizer": {"encoder_weight_decay": 0.5}, "evaluation": {"logistic_parameters": 4}}
    assert rename_keys(old) == {"optimizer": {"encoder_weight_decay": 0.5}}


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("data.threads", "data.threads is now host.threads"),
        ("loss.projection_dim", "is now loss.supcon.projection_dim or loss.triplet.projection_dim"),
        ("evaluation.logistic_parameters", "logistic_parameters is gone: it is 4 in every run"),
        ("data.thread", "data.thread is no key"),
    ],
)
def test_a_recipe_with_a_key_that_is_none_is_refused(key, sentence):
    config = default.get_config()
    config.data.manifest = "manifest.csv"
    section, name = key.split(".")
    config[section][name] = 1
    with pytest.raises(ConfigError, match=sentence):
        check_config(config)


def under_old_names(config: ConfigDict) -> dict:
    """Writes a config as it was written once."""
    given, old = dict(flatten(config.to_dict())), {}
    for key in dict(flatten(OLD)):
        *sections, name = key.split(".")
        owner = old
        for section in sections:
            owner = owner.setdefault(section, {})
        owner[name] = renamed._GONE.get(key) or given[new_names(key)[0]]
    return old


def test_what_was_fitted_under_old_names_still_counts(tiny_run, tmp_path):
    run = Workdir(shutil.copytree(tiny_run, tmp_path / "run"))
    config, step = run.config(), run.best.steps[-1]
    fitted = read_confidence(run, step, confidence_settings_from_config(config))
    assert fitted is not None
    old = under_old_names(config)
    assert "passes" in old["uncertainty"] and "threads" in old["data"]
    run.write_text("config.json", json.dumps(old))
    about, arrays = run.read_arrays("confidence.npz", {})
    about["settings"] = json.dumps([old["tta"], old["uncertainty"]], sort_keys=True)
    run.write_arrays("confidence.npz", about, arrays)
    again = read_confidence(run, step, confidence_settings_from_config(run.config()))
    assert again is not None and again.quantile == fitted.quantile
    config.uncertainty.mc_samples = 5
    assert read_confidence(run, step, confidence_settings_from_config(config)) is None
