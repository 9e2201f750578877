"""Keys that cannot be together are refused."""

import pytest

from configs import default
from iqa_jax.run.checks import ConfigError, check_config


@pytest.mark.parametrize(
    ("kind", "loss", "plcc_weight", "what"),
    [
        ("binary", "supcon", 0.0, "supcon"),
        ("ordered", "triplet", 0.0, "triplet"),
        ("numeric", "huber", 0.5, "loss.regression.plcc_weight"),
        ("ranking", "hinge", 0.0, "hinge"),
        ("pairs", "", 0.0, "logistic"),
    ],
)
def test_a_loss_over_the_whole_batch_is_refused_in_parts(kind, loss, plcc_weight, what):
    config = default.get_config()
    config.data.manifest, config.data.label_kind = "manifest.csv", kind
    config.loss.name, config.loss.regression.plcc_weight = loss, plcc_weight
    config.accumulation_steps = 4
    sentence = f"accumulation_steps is 4, but {what} compares the examples of a batch"
    with pytest.raises(ConfigError, match=sentence):
        check_config(config)


def test_a_loss_per_example_is_accepted_in_parts():
    config = default.get_config()
    config.data.manifest, config.accumulation_steps = "manifest.csv", 4
    check_config(config)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tiles.random_scales": (0.5, 1.0)}, "tiles.random_scales has 1.0; give factors from 0.1"),
        ({"tiles.random_scales": (0.05,)}, "tiles.random_scales has 0.05; give factors from 0.1"),
        ({"tiles.random": False}, "tiles.random_scales needs tiles.random; set it to True"),
        ({"bags.tiles": 4}, "tiles.random_scales is for tiles that are examples of their own"),
    ],
)
def test_random_scales_are_of_single_moved_tiles(changes, sentence):
    config = default.get_config()
    config.data.manifest, config.tiles.random_scales = "manifest.csv", (0.5,)
    check_config(config)
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=sentence) as refused:
        check_config(config)
    assert len(refused.value.problems) == 1
