"""What a run is trained on follows its columns, and columns that cannot be are refused."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from configs import default
from input_pipeline.tables.table_files import ManifestError
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.training.targets import targets_from_config


@pytest.fixture
def ratings(tmp_path):
    """A config of a numeric run, and a function that writes its manifest."""
    config = default.get_config()
    config.data.manifest = str(tmp_path / "manifest.csv")
    config.data.label_kind, config.data.label_column = "numeric", "mos"
    config.data.classes = ()
    config.data.minimum, config.data.maximum = 1.0, 3.0
    config.balanced_sampling = False
    config.early_stopping.metric = "srcc"

    def write(*rows):
        with open(config.data.manifest, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "split", "mos", "std", "ones", "twos", "threes"))
            writer.writerows(
                (f"{row}.png", split, *values) for row, (split, *values) in enumerate(rows)
            )

    return SimpleNamespace(config=config, write=write)


def _targets(config):
    check_config(config)
    return targets_from_config(config, build.manifest_from_config(config))


def test_targets_are_labels_by_default(ratings):
    ratings.write(("train", 2.5, 0.5, 0, 1, 1), ("val", 1.5, 0.5, 1, 1, 0))
    targets = _targets(ratings.config)
    assert targets.keys() == {"label"}
    np.testing.assert_array_equal(targets["label"], [2.5, 1.5])


def test_targets_of_counts_are_shares_in_the_labels_direction(ratings):
    config = ratings.config
    config.loss.name, config.data.count_columns = "emd", ("ones", "twos", "threes")
    ratings.write(("train", 2.5, 0.5, 0, 3, 3), ("val", 1.25, 0.5, 3, 1, 0))
    expected = np.array([[0, 0.5, 0.5], [0.75, 0.25, 0]])
    np.testing.assert_allclose(_targets(config)["label"], expected)
    config.data.higher_is_better = False
    np.testing.assert_allclose(_targets(config)["label"], expected[:, ::-1])


def test_targets_of_means_are_distributions_with_that_mean(ratings):
    config = ratings.config
    config.loss.name, config.loss.emd.bins = "emd", 9
    ratings.write(("train", 2.4, 0.5, 0, 3, 3), ("val", 1, 0.2, 3, 1, 0))
    scores = np.linspace(1, 3, 9)
    for higher_is_better, mean in ((True, [2.4, 1]), (False, [1.6, 3])):
        config.data.higher_is_better = higher_is_better
        config.data.label_std_column = ""
        by_mean = _targets(config)["label"]
        config.data.label_std_column = "std"
        by_both = _targets(config)["label"]
        for label in (by_mean, by_both):
            assert label.dtype == np.float32
            np.testing.assert_allclose(label @ scores, mean, atol=1e-5)
        spread = np.sqrt((by_both[0] * (scores - mean[0]) ** 2).sum())
        assert spread == pytest.approx(0.5, abs=1e-4)
        assert (by_mean[0] * (scores - mean[0]) ** 2).sum() > 0.27


def test_targets_weigh_by_agreement(ratings):
    config = ratings.config
    config.data.label_std_column, config.loss.use_std_weights = "std", True
    ratings.write(("train", 2, 0, 0, 1, 0), ("train", 2, 1, 1, 0, 1), ("val", 2, 1, 1, 0, 1))
    np.testing.assert_allclose(_targets(config)["weight"], [1.5, 0.5, 0.5])


def test_ratings_that_cannot_be_are_named(ratings):
    config = ratings.config
    config.loss.name, config.data.count_columns = "emd", ("ones", "twos", "threes")
    config.data.label_std_column, config.loss.use_std_weights = "std", True
    ratings.write(
        ("train", 2.5, 0.5, 0, 3, 3),
        ("train", 2.5, -1, 0, 3, 3),
        ("train", 2.5, 0.5, 0, 0, 0),
        ("train", 2.5, 0.5, -1, 3, 3),
        ("val", 3, 0.5, 5, 1, 0),
    )
    with pytest.raises(ManifestError) as caught:
        _targets(config)
    std, counts, mean = caught.value.problems
    assert std.startswith("row 3: std must be from 0 to 2")
    assert counts.startswith("rows 4, 5: ")
    assert mean.startswith("row 6: the mean of data.count_columns")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss.name": "hubber"}, 'did you mean "huber"'),
        ({"loss.name": "coral"}, "the choices are huber, l1, l2, emd"),
        ({"loss.name": "emd", "loss.regression.plcc_weight": 1.0}, "only huber, l1, l2 take it"),
        ({"loss.name": "emd", "model.kernel_ridge": True}, "only huber, l1, l2 do"),
        ({"loss.use_std_weights": True}, "loss.use_std_weights needs data.label_std_column"),
        (
            {"data.label_kind": "ordered", "data.label_std_column": "std"},
            "data.label_std_column needs numeric labels",
        ),
        ({"data.count_columns": ("ones", "twos")}, 'needs numeric labels and loss.name "emd"'),
        ({"loss.name": "emd", "data.count_columns": ("ones",)}, "give one per score"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(ratings, changes, said):
    ratings.config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=said):
        check_config(ratings.config)
