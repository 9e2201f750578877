"""Values that cannot be are refused, all at once, by the names of their keys."""

import pytest

from configs import default
from iqa_jax.run.checks import ConfigError, check_config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.label_kind", "quality"),
        ("loss.name", "hubber"),
        ("model.encoder", "resnet"),
        ("tta.flips", "sideways"),
        ("tiles.shrink", 3),
    ],
)
def test_a_value_that_is_no_choice_hides_no_other_problem(key, value):
    config = default.get_config()
    config.update_from_flattened_dict({key: value, "batch_size": 0, "data.fractions": (1.0,)})
    config.uncertainty.scale_intervals = True  # Asks what the label kind is.
    with pytest.raises(ConfigError) as refused:
        check_config(config)
    shown = f'"{value}"' if isinstance(value, str) else value
    for start in (
        f"{key} is {shown}; the choices are",
        "batch_size is 0",
        "data.fractions is (1.0,",
    ):
        assert sum(line.startswith(start) for line in refused.value.problems) == 1, start


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("seed", -1, "seed is -1; it must be from 0 to 2147483647"),
        ("seed", 2**31, "it must be from 0 to 2147483647"),
        ("batch_size", 0, "batch_size is 0; it must be 1 or more"),
        ("epochs", 0.0, "epochs is 0.0; it must be more than 0"),
        ("tiles.edge_sum_min", -1, "tiles.edge_sum_min is -1; it must be 0 or more"),
        ("tiles.edge_sum_max", -2, "tiles.edge_sum_max is -2; it must be -1"),
        ("tiles.reference_side", -1, "tiles.reference_side is -1; it must be 0"),
        ("tiles.reference_side", 255, "reference side is 255 pixels, less than a tile's 256"),
        ("data.fractions", (0.7, 0.3), "data.fractions is .*; give three shares: train, val"),
        ("data.fractions", (0.7, 0.2, 0.2), "data.fractions is .*must be from 0 to 1 and sum to 1"),
        ("data.fractions", (1.2, -0.1, -0.1), "data.fractions is .*must be from 0 to 1"),
        ("data.fractions", (0.0, 0.5, 0.5), "data.fractions is .*; train needs a share above 0"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_key(key, value, sentence):
    config = default.get_config()
    config.data.manifest = "manifest.csv"
    check_config(config)
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ConfigError, match=sentence) as refused:
        check_config(config)
    assert len(refused.value.problems) == 1
