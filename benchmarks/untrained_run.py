"""A run to predict with where answers do not matter: ImageNet's encoder, an untrained head."""

import json
from pathlib import Path

from configs import default
from input_pipeline.tiles.features import FeatureTable
from iqa_jax.learning.state import create_state
from iqa_jax.run import build
from iqa_jax.run.config import config_to_json
from iqa_jax.run.variables import initial_variables
from iqa_jax.run.workdir import Workdir, versions


def make_untrained_run(folder: Path) -> Workdir:
    """Makes the workdir of the default recipe before its first update."""
    workdir, config = Workdir(folder), default.get_config()
    config.model.trainable_layers = 0  # The optimizer's state would be twice the encoder.
    folder.mkdir(parents=True)
    workdir.write_text("config.json", config_to_json(config))
    workdir.write_text("versions.json", json.dumps(versions()))
    workdir.write_features(FeatureTable())
    optimizer, _ = build.optimizer_from_config(config, steps_per_epoch=1)
    is_trainable = build.is_trainable_from_config(config)
    workdir.last.save(0, create_state(initial_variables(config), optimizer, is_trainable), {})
    return workdir
