"""Detectors of anomalous tiles on planted truth; what they are fitted on; what is kept of them."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import f
from sklearn.metrics import roc_auc_score

from iqa_jax.analysis.detectors import DETECTORS, fit_detector, greedy_coreset
from iqa_jax.analysis.maps import make_maps
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


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("scale", [1.0, 10.0 ** np.linspace(-2, 2, DIM)])
def test_anomalies_are_found_about_as_well_as_can_be(kind, scale):
    """Good ones are N(m, I), bad ones N(m, 3 I): the distance from m is the likelihood ratio.

    The ratio of two such squared distances is 3 F, so the best AUROC is P(3 F > 1). At length 1 the
    direction of m is lost, and with it a degree of freedom.
    """
    detector = fit_detector(kind, draw(3000, 1, 0, scale), memory=1000, seed=0)
    good, bad = draw(2000, 1, 1, scale), draw(2000, 3**0.5, 2, scale)
    found = roc_auc_score(np.repeat([0, 1], 2000), detector(np.concatenate([good, bad])))
    freedom = DIM if kind == "mahalanobis" else DIM - 1
    best = f.sf(1 / 3, freedom, freedom)
    # A coreset keeps the rim of the good ones, where they are rare, as well as their middle.
    assert best - {"mahalanobis": 0.01, "knn": 0.02, "coreset": 0.06}[kind] < found < best + 0.02


@pytest.mark.parametrize("seed", range(5))
def test_the_coreset_covers_within_twice_the_best_radius(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(11, 2)) + 4 * rng.integers(0, 2, (11, 1))
    distances = cdist(points, points)

    def radius(chosen):
        return distances[:, list(chosen)].min(axis=1).max()

    for size in (1, 2, 3, 4):
        chosen = greedy_coreset(points, size, np.random.default_rng(seed))
        assert len(set(chosen.tolist())) == size
        best = min(map(radius, itertools.combinations(range(11), size)))
        assert best <= radius(chosen) <= 2 * best + 1e-9
        if size > 1:
            rest = distances[:, chosen[:-1]].min(axis=1)
            assert rest[chosen[-1]] == pytest.approx(rest.max())


def test_the_coreset_takes_each_point_once():
    points = np.repeat(np.random.default_rng(0).normal(size=(4, 3)), 5, axis=0)
    chosen = greedy_coreset(points, 10, np.random.default_rng(1))
    assert sorted(set((chosen // 5).tolist())) == [0, 1, 2, 3] and len(chosen) == 4


@pytest.mark.parametrize("kind", DETECTORS)
def test_memory_is_bounded_and_what_is_remembered_is_near(kind):
    tiles = draw(300, 1, 0)
    whole = fit_detector(kind, tiles, memory=1000, seed=0)
    small = fit_detector(kind, tiles, memory=20, seed=0)
    if kind != "mahalanobis":
        assert len(whole.known.units) == 300 and len(small.known.units) == 20
        assert whole(tiles).mean() < small(tiles).mean()
    if kind == "coreset":
        np.testing.assert_allclose(whole(tiles), 0, atol=1e-6)
    assert whole(tiles[:0]).shape == (0,)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_detector_of_nothing_is_refused(rows):
    with pytest.raises(ValueError, match="at least two good tiles that differ"):
        fit_detector("knn", np.ones((rows, 3)), memory=5, seed=0)


def test_a_dimension_that_never_varies_is_no_trouble():
    tiles = draw(200, 1, 0)
    tiles[:, 2] = 0
    new = draw(50, 1, 1)
    new[:, 2] = 1e-3
    for kind in DETECTORS:
        found = fit_detector(kind, tiles, memory=100, seed=0)(new)
        assert np.isfinite(found).all() and found.max() < 100


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


def test_the_map_shows_each_tile_at_its_place():
    origins = np.array([[0, 0], [0, 8]])
    arguments = (np.zeros(2), np.ones(2) / 2, np.zeros((2, 1, 1)), origins, 8, 8, 16)
    maps = make_maps(*arguments, anomaly=np.array([1.0, 3.0]))
    np.testing.assert_array_equal(maps.anomaly[:, :8], 1)
    np.testing.assert_array_equal(maps.anomaly[:, 8:], 3)
    np.testing.assert_array_equal(maps.relevance()["anomaly"], maps.anomaly)
    assert "anomaly" not in make_maps(*arguments).relevance()


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
