"""Features of tiles: which values they are, and that training tiles set their scale."""

import numpy as np
import pytest

from input_pipeline.tiles.features import (
    FeatureTable,
    feature_width,
    fit_features,
    measure_tiles,
    raw_features,
)
from input_pipeline.tiles.nss import FEATURES, nss_features
from input_pipeline.tiles.tiling import edge_sum

RNG = np.random.default_rng(0)
TILES = RNG.integers(0, 256, (3, 32, 32, 3), np.uint8)
MASKS = np.ones((3, 32, 32), bool)
MASKS[0, :, 16:] = False


def test_features_that_need_pixels_are_measured_and_no_others():
    found = measure_tiles(("exposure", "edge_sum", "n_tiles", "nss"), TILES, MASKS)
    assert set(found) == {"edge_sum", "nss"}
    np.testing.assert_array_equal(found["edge_sum"], list(map(edge_sum, TILES, MASKS)))
    np.testing.assert_array_equal(found["nss"], list(map(nss_features, TILES)))
    assert found["edge_sum"][0] < edge_sum(TILES[0])
    assert measure_tiles(("n_tiles",), TILES, MASKS) == {}


def test_values_stand_in_the_order_of_their_names():
    measured = {"edge_sum": np.array([5, 7]), "nss": np.arange(2 * FEATURES).reshape(2, FEATURES)}
    names = ("exposure", "nss", "n_tiles", "edge_sum")
    assert feature_width(names) == FEATURES + 3
    raw = raw_features(names, measured, 2, 40, {"exposure": 0.25})
    expected = [[0.25, *row, 40, edges] for row, edges in zip(measured["nss"], (5, 7), strict=True)]
    np.testing.assert_array_equal(raw, expected)
    assert raw_features((), {}, 2, 40, {}).shape == (2, 0)


def test_a_constant_feature_is_only_centred():
    raw = np.array([[1.0, 4.0], [3.0, 4.0]])
    table = fit_features(("a", "b"), raw)
    assert table == FeatureTable(("a", "b"), (2.0, 4.0), (1.0, 1.0))
    raw = np.stack([RNG.normal(7, 3, 50), np.full(50, 4.0)], axis=1)
    table = fit_features(("a", "b"), raw)
    scaled = np.concatenate([table({}, 1, 9, {"a": a, "b": b}) for a, b in raw])
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 0], atol=1e-6)


def test_a_feature_that_was_not_given_is_missed():
    with pytest.raises(KeyError):
        raw_features(("exposure",), {}, 2, 40, {})
