"""Which keys may change between two starts of one run."""

import pytest

from iqa_jax.run.config import default_config
from iqa_jax.run.key_roles import answer_keys, is_free, run_part


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("epochs", True),
        ("host.threads", True),
        ("protocol.splits", True),
        ("tta.flips", True),
        ("anomaly.kind", True),
        ("data.manifest", True),
        ("data.manifests.other.path", True),
        ("data.manifests.other.minimum", False),
        ("data.classes", False),
        ("early_stopping.patience", True),
        ("early_stopping.metric", False),
        ("optimizer.learning_rate", False),
        ("seed", False),
    ],
)
def test_what_one_run_is_does_not_change(key, expected):
    assert is_free(key) == expected


def test_every_key_of_the_default_that_is_free_is_a_key():
    def keys(section, prefix=""):
        for name, value in section.items():
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{name}.")
            else:
                yield prefix + name

    config = default_config()
    found = {key for key in keys(config.to_dict()) if is_free(key)}
    assert {"epochs", "checkpoint_every_steps", "log_every_steps", "data.split_rows"} <= found
    assert {key.split(".")[0] for key in found} >= {"host", "prepare", "compare", "noise", "tta"}


def test_the_part_of_a_run_has_no_host_and_no_study():
    config = default_config()
    part = run_part(config)
    assert not part.keys() & {"host", "prepare", "compare", "protocol", "noise"}
    assert part.keys() | {"host", "prepare", "compare", "protocol", "noise"} == {*config}
    config.host.threads += 1
    assert run_part(config) == part
    config.tta.flips = "both"  # Fitted anew, and no other run; yet part of what it is.
    assert run_part(config) != part


@pytest.mark.parametrize(
    ("key", "value", "is_common"),
    [
        ("tiles.size", 64, True),
        ("data.maximum", 5.0, True),
        ("data.features", ("n_tiles",), True),
        ("tiles.random", False, False),
        ("seed", 9, False),
        ("model.encoder", "shallow_cnn", False),
    ],
)
def test_members_of_an_ensemble_have_what_answers_hang_on_in_common(key, value, is_common):
    config = default_config()
    before = answer_keys(config)
    config.update_from_flattened_dict({key: value})
    assert (answer_keys(config) != before) == is_common
