"""Every method scores the same images, in the same direction; missing packages are left out."""

import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks import without_network
from benchmarks.without_network import draw_rows, figures_of, fit_brisque_svr, score_all


@pytest.fixture(scope="module")
def photos(tiny_manifest, tmp_path_factory):
    """Blurred more and more, with the score that this deserves."""
    folder = tmp_path_factory.mktemp("photos")
    image = cv2.imread(str(tiny_manifest.parent / "scene0_0.png"))
    paths = [folder / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), cv2.GaussianBlur(image, (0, 0), 0.1 + number))
    return paths, 100 - 15.0 * np.arange(len(paths))


def test_rows_are_drawn_of_the_part_that_is_asked_for():
    table = pd.DataFrame({"path": [*"abcdef"], "split": ["test", "train"] * 3, "odd": [*"001100"]})
    assert set(draw_rows(table, ["split=test"], 9, seed=0)["path"]) == {"a", "c", "e"}
    assert list(draw_rows(table, ["split=test", "odd=1"], 9, seed=0)["path"]) == ["c"]
    drawn = [tuple(draw_rows(table, [], 3, seed)["path"]) for seed in range(9)]
    assert len({*drawn}) > 1 and all(len({*paths}) == 3 for paths in drawn)
    assert drawn[1] == tuple(draw_rows(table, [], 3, seed=1)["path"])


def test_figures_are_of_the_order_and_of_a_rising_curve():
    scores = np.linspace(0, 100, 20)
    found = figures_of(scores, 100 / (1 + np.exp(-(scores - 50) / 8)))
    assert found["srcc"] == 1 and found["plcc"] < 0.98 < 0.99 < found["plcc_mapped"]
    # A curve that falls is refused: a score the wrong way round stays one.
    assert figures_of(-scores, scores)["srcc"] == -1
    assert not figures_of(-scores, scores)["plcc_mapped"]


def test_all_methods_score_the_same_images_for_as_long_as_there_is_time(photos, monkeypatch):
    paths, labels = photos
    monkeypatch.setattr(without_network, "_BLOCK", 4)
    methods = {"brisque_svr": fit_brisque_svr(paths, labels), "mean": lambda image: image.mean()}
    scores, spent = score_all(paths, methods, seconds=300)
    assert set(scores) == set(spent) == {"photo_scorer", "brisque_svr", "mean"}
    assert {len(values) for values in scores.values()} == {6}
    assert figures_of(scores["brisque_svr"], labels)["srcc"] > 0.9
    assert scores["photo_scorer"][0] > scores["photo_scorer"][-1]
    expected = [cv2.imread(str(path)).mean() for path in paths]
    np.testing.assert_allclose(scores["mean"], expected)
    assert len(score_all(paths, {}, seconds=-1)[0]["photo_scorer"]) == 0


def test_a_package_that_is_missing_is_told(monkeypatch):
    for package, make in (("brisque", "brisque"), ("skvideo", "niqe"), ("pypiqe", "piqe")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ModuleNotFoundError):
            without_network.PEERS[make]()
