"""Dots lie where their points are, and say whose they are."""

import dataclasses

import numpy as np
import pytest

from iqa_jax.reporting.pages.colours import SERIES, score_colours
from iqa_jax.reporting.pages.point_map import draw_points
from iqa_jax.reporting.pages.report import Projection, Table

PHOTO = np.full((8, 8, 3), 90, np.uint8)
PROJECTION = Projection(
    title="t-SNE",
    caption="of embeddings",
    points=np.array([[10.0, 1.0], [0.0, 3.0], [5.0, 2.0]]),
    names=["a", "b", "c"],
    splits=["val", "test", "test"],
    scores=np.array([0.0, 1.0, 0.5]),
    images=[PHOTO] * 3,
    labels=["good", "bad", "odd"],
    classes=["bad", "good"],
    n_images=900,
    purity=Table("", ["by", "purity"], [["class", 0.5]]),
)


def test_dots_come_from_left_to_right_with_up_at_the_top():
    found = draw_points(PROJECTION, (0, 1))
    assert [(dot.name, dot.x, dot.y) for dot in found.dots] == [
        ("b", 3, 3), ("c", 50, 50), ("a", 97, 97),
    ]  # fmt: skip
    assert found.dots[0].about == "bad · test · score 1.000"
    assert found.dots[0].photo.startswith("data:image/")
    assert found.n_images == 900 and found.purity.rows[0][0] == "class"


def test_colours_are_by_class_split_and_score():
    found = draw_points(PROJECTION, (0, 1))
    # The classes in their order, then what is none of them.
    assert found.legends["class"] == dict(zip(["bad", "good", "odd"], SERIES, strict=False))
    assert found.legends["split"] == dict(zip(["val", "test"], SERIES, strict=False))
    dot = found.dots[-1]
    assert dot.colours == {
        "class": SERIES[1], "split": SERIES[0], "score": score_colours(np.zeros(1), (0, 1))[0],
    }  # fmt: skip
    plain = draw_points(dataclasses.replace(PROJECTION, labels=()), (0, 1))
    assert set(plain.legends) == {"split"} and plain.dots[0].about == "test · score 1.000"


def test_points_on_one_line_stay_on_the_page():
    flat = dataclasses.replace(PROJECTION, points=np.array([[1.0, 2], [1, 2], [1, 2]]))
    assert {(dot.x, dot.y) for dot in draw_points(flat, (0, 1)).dots} == {(3, 97)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"names": ["a"]}, "3 points, but other numbers of images"),
        ({"labels": ["good"]}, "3 points, but other numbers of images"),
        ({"points": np.array([[0, 0], [0, np.nan], [0, 0]])}, "a point is not finite"),
    ],
)
def test_a_projection_that_contradicts_itself_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        draw_points(dataclasses.replace(PROJECTION, **change), (0, 1))
