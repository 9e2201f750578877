"""What detectors of anomalous tiles are fitted on, and what is kept and told of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from iqa_jax.analysis.detectors import DETECTORS
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.detector import (
    anomaly_figures,
    detector_settings_from_config,
    fit_training_detector,
    image_anomaly,
    read_detector,
    write_detector,
)

DIM = 7


def draw(count, spread, seed, scale=1.0):
    """Draws embeddings around a mean far from 0; `scale` gives each dimension a unit of its own."""
    rng = np.random.default_rng(seed)
    return (30 + spread * rng.normal(size=(count, DIM))) * scale


@pytest.fixture
def config(tiny_config):
    tiny_config.anomaly.kind = "coreset"
    tiny_config.anomaly.memory = 30
    check_config(tiny_config)
    return tiny_config


@pytest.fixture
def images():
    """The split `train`: good, bad and marginal images, and one that cannot be read (9)."""
    return pd.DataFrame({"label": [1, 0, 1, -1, 1, 1]}, index=[2, 3, 5, 6, 9, 11])


def embedder(seeds):
    def embed(image_ids):
        for image_id in image_ids:
            yield None, draw(0 if image_id == 9 else 20, 1, seeds.get(image_id, image_id))

    return embed


@pytest.mark.parametrize("kind", DETECTORS)
def test_only_tiles_of_good_images_count(config, images, kind):
    config.anomaly.kind = kind
    settings, new = detector_settings_from_config(config), draw(40, 2, 99)
    before = fit_training_detector(settings, images, embedder({}))(new)
    others = fit_training_detector(settings, images, embedder({3: 70, 6: 71}))(new)
    np.testing.assert_array_equal(before, others)
    assert not np.array_equal(
        fit_training_detector(settings, images, embedder({5: 72}))(new), before
    )


def test_so_many_tiles_are_fitted_on(config, images, capsys):
    config.anomaly.tiles = 25
    settings = detector_settings_from_config(config)
    fit_training_detector(settings, images, embedder({}))
    assert "on 25 tiles of 4 good images" in capsys.readouterr().out
    assert fit_training_detector(settings, images.loc[[9]], embedder({})) is None
    assert "anomaly: undefined. A detector needs" in capsys.readouterr().out
    config.anomaly.kind = "none"
    assert detector_settings_from_config(config) is None


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_detector_is_read_back_for_its_step_and_settings_only(config, images, kind, tmp_path):
    config.anomaly.kind = kind
    settings = detector_settings_from_config(config)
    workdir, detector = Workdir(tmp_path), fit_training_detector(settings, images, embedder({}))
    write_detector(workdir, 7, settings, detector)
    new = draw(40, 2, 99)
    np.testing.assert_allclose(
        read_detector(workdir, 7, settings)(new), detector(new), rtol=1e-3, atol=1e-4
    )
    assert read_detector(workdir, 8, settings) is None
    config.anomaly.memory = 29
    assert read_detector(workdir, 7, detector_settings_from_config(config)) is None
    config.anomaly.kind = "none"
    assert read_detector(workdir, 7, detector_settings_from_config(config)) is None


def make_answer(anomaly, error=""):
    return Answered(0, {}, np.zeros((0, 2)), np.zeros(0), None, error, anomaly=anomaly)


def test_an_image_is_as_anomalous_as_its_worst_tiles(config):
    answer, worst = make_answer(np.array([0.0, 1.0, 5.0])), detector_settings_from_config(config)
    assert image_anomaly(worst, answer) == 5
    config.anomaly.quantile = 0.5
    middle = detector_settings_from_config(config)
    assert image_anomaly(middle, answer) == 1
    assert image_anomaly(middle, make_answer(None)) is image_anomaly(None, answer) is None


def test_figures_are_of_labelled_images(config):
    rng, settings = np.random.default_rng(0), detector_settings_from_config(config)
    labels = rng.integers(-1, 2, 60)
    answers = [make_answer(rng.normal(size=4) - label) for label in labels]
    scores = np.array([answer.anomaly.max() for answer in answers])
    expected = roc_auc_score(labels[labels >= 0] == 0, scores[labels >= 0])
    answers, labels = [*answers, make_answer(None, "broken")], np.append(labels, 0)
    found = anomaly_figures(settings, answers, labels)["anomaly"]
    assert found == {"kind": "coreset", "images": (labels[:60] >= 0).sum(), "auroc": expected}
    assert 0.6 < expected < 1
    only = [answer for answer, label in zip(answers, labels, strict=True) if label == 1]
    assert anomaly_figures(settings, only, np.ones(len(only)))["anomaly"]["auroc"] is None
    assert anomaly_figures(settings, [make_answer(None)], np.zeros(1)) == {}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"anomaly.kind": "corset"}, 'did you mean "coreset"'),
        ({"anomaly.quantile": 1.5}, "anomaly.quantile is 1.5"),
        ({"data.label_kind": "unordered"}, "need a best class"),
    ],
)
def test_settings_that_cannot_be_are_refused(config, changes, problem):
    config.early_stopping.metric = "accuracy"
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=problem):
        check_config(config)
