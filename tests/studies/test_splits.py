"""Splits of a protocol: every image is tested once, or every group."""

import numpy as np
import pytest

from iqa_jax.run import build
from iqa_jax.studies.splits import draw_splits


@pytest.fixture
def config(opinion_config):
    return opinion_config


def draw(config):
    images = build.manifest_from_config(config, whole="all").images
    protocol = config.protocol
    splits = draw_splits(
        images,
        protocol.kind,
        splits=protocol.splits,
        fractions=protocol.fractions,
        seed=config.seed,
    )
    return images["group"].to_numpy(), list(splits)


def test_folds_test_every_image_once(config):
    config.protocol.kind, config.protocol.splits = "k_fold", 3
    groups, splits = draw(config)
    assert len(splits) == 3
    np.testing.assert_array_equal(np.sum([split == "test" for split in splits], axis=0), 1)
    for split in splits:
        assert set(split) == {"train", "val", "test"}
        assert all(len(set(split[groups == group])) == 1 for group in groups)


def test_one_group_is_left_out_at_a_time(config):
    config.protocol.kind = "leave_one_group_out"
    groups, splits = draw(config)
    assert [set(groups[split == "test"]) for split in splits] == [
        {f"scene{number}"} for number in range(6)
    ]
    assert all({"train", "val"} < set(split) for split in splits)


def test_without_a_share_for_val_there_is_none(config):
    config.protocol.fractions = (0.8, 0.0, 0.2)
    _, splits = draw(config)
    assert all(set(split) == {"train", "test"} for split in splits)
