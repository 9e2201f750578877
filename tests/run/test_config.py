"""A config survives its life as JSON."""

import json

import pytest

from configs import default
from iqa_jax.run.config import config_from_json, config_to_json, differing_keys
from recipes import RECIPES, load_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_config_survives_json(name):
    config = load_recipe(name)
    back = config_from_json(config_to_json(config))
    assert back.to_dict() == config.to_dict()
    assert differing_keys(config, back) == []


def test_a_run_from_before_a_key_goes_on_with_its_default():
    config = default.get_config()
    config.batch_size, config.optimizer.learning_rate = 7, 0.5
    written = json.loads(config_to_json(config))
    del written["optimizer"]["start_share"], written["tta"]
    back = config_from_json(json.dumps(written))
    assert back.to_dict() == config.to_dict()
