"""Where images are in a plane."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis.kinds import KINDS
from iqa_jax.reporting.pages.point_map import MOST_DOTS
from iqa_jax.reporting.run_maps import make_planes


def evaluation(count: int, first: int = 0, broken: int | None = None):
    """Images of two far apart classes; `broken` has no answer."""
    rng = np.random.default_rng(first)
    answers = [
        SimpleNamespace(error="", embedding=rng.normal(50 * (row % 2), 1, 6))
        for row in range(count)
    ]
    if broken is not None:
        answers[broken] = SimpleNamespace(error="no image", embedding=None)
    images = pd.DataFrame(
        {
            "label_text": [("bad", "good")[row % 2] for row in range(count)],
            "group": [f"scene {row // 2}" for row in range(count)],
        }
    )
    is_answered = np.array([not answer.error for answer in answers], bool)
    kind = KINDS["binary"]()
    return SimpleNamespace(kind=kind, answers=answers, images=images, is_answered=is_answered)


def test_every_answered_image_has_a_place_in_its_split():
    evaluations = {"test": evaluation(20, broken=3), "val": evaluation(8, first=1)}
    tsne, pca = make_planes(evaluations, seed=0)
    for plane in (tsne, pca):
        assert {name: points.shape for name, points in plane.points.items()} == {
            "test": (19, 2),
            "val": (8, 2),
        }
    # The first direction tells the two classes apart.
    first = pca.points["val"][:, 0]
    assert np.ptp(first[::2]) < 0.2 * abs(first[::2].mean() - first[1::2].mean())
    rows = {row[0]: row[1:] for row in tsne.purity.rows}
    assert rows["class"][0] == 1 and rows["class"][1] == pytest.approx(0.5, abs=0.05)


def test_too_few_and_too_many_images_have_no_plane():
    assert make_planes({"test": evaluation(3)}, seed=0) == []
    assert make_planes({"test": evaluation(MOST_DOTS + 1)}, seed=0) == []
