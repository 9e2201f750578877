"""Embeddings are kept by the content of their picture, whole or not at all."""

import numpy as np
import pandas as pd
import pytest

from input_pipeline.batches.embeddings import EmbeddingCache, embedded_bags
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tiling import Tiling

ABOUT = {"weights": "a", "tiling": 32}
EMBEDDINGS = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


def test_what_is_written_is_read_by_its_content_alone(tmp_path):
    cache = EmbeddingCache(tmp_path, ABOUT)
    cache.write("abcd", EMBEDDINGS, "it is odd")
    again = EmbeddingCache(tmp_path, dict(reversed(ABOUT.items())))
    np.testing.assert_array_equal(again.read("abcd"), EMBEDDINGS)
    assert again.read("abce") is None
    assert (again.warning("abcd"), again.warning("abce")) == ("it is odd", "")
    # Of another encoder nothing is known.
    assert EmbeddingCache(tmp_path, ABOUT | {"weights": "b"}).read("abcd") is None


@pytest.mark.parametrize("bytes_left", [0, 20, 150])
def test_a_damaged_file_is_as_good_as_none(tmp_path, bytes_left):
    cache = EmbeddingCache(tmp_path, ABOUT)
    cache.write("abcd", EMBEDDINGS)
    (path,) = tmp_path.rglob("abcd.npy")
    path.write_bytes(path.read_bytes()[:bytes_left])
    assert cache.read("abcd") is None
    cache.write("abcd", EMBEDDINGS)
    np.testing.assert_array_equal(cache.read("abcd"), EMBEDDINGS)


def test_a_whole_image_is_a_bag_of_its_first_copy_and_a_bad_one_has_its_error(tmp_path):
    picture = np.zeros((32, 96, 3), np.uint8)
    source = TileSource([picture, tmp_path / "none.png"], Tiling(32, 32), max_pixels=10**6)
    features = FeatureTable(("n_tiles", "exposure"), (1.0, 0.0), (2.0, 1.0))
    images = pd.DataFrame({"exposure": [0.5, 0.0]})
    bags = embedded_bags(lambda image_id: EMBEDDINGS, source, [1, 0], features, images)
    bad, good = bags
    assert "none.png" in bad.error and (bad.image_id, bad.layout, bad.embeddings) == (1, None, None)
    assert bad.features.shape == (0, 2)
    np.testing.assert_array_equal(good.embeddings, EMBEDDINGS[0])
    np.testing.assert_array_equal(good.features, [[1.0, 0.5]] * 3)
    assert good.layout.grid.shape == (1, 3) and not good.error and not good.tiles.size
