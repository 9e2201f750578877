"""Tiles are drawn where they are, in the colour of their score."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from iqa_jax.reporting.pages.colours import score_colours
from iqa_jax.reporting.pages.pictures import Example, draw_picture, thumbnail


def example(size, origins, tile_size, scores, image=None):
    image = np.zeros((*size, 3), np.uint8) if image is None else image
    return Example(
        "photo.jpg", image, size, np.array(origins), tile_size, scores, 0.5, "bad", "bad"
    )


def decode(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))


def rgb(colour):
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def test_each_tile_has_the_colour_of_its_score():
    origins = [(0, 0), (0, 240), (240, 0)]
    picture = draw_picture(example((480, 480), origins, 240, [0.1, 0.5, 0.9]), (0, 1))
    overlay = decode(picture.overlay)
    for (row, column), colour in zip(origins, score_colours([0.1, 0.5, 0.9], (0, 1)), strict=True):
        np.testing.assert_array_equal(overlay[row + 120, column + 120, :3], rgb(colour))
    assert overlay[360, 360, 3] == 0, "no tile is there"
    assert [(n.x, n.y, n.text) for n in picture.numbers] == [
        (120, 120, "0.10"),
        (360, 120, "0.50"),
        (120, 360, "0.90"),
    ]


def test_origins_count_in_pixels_of_the_original():
    origins, scores = [(0, 0), (600, 600)], [0.0, 1.0]
    large = example((1200, 1200), origins, 600, scores)
    shrunk = example((1200, 1200), origins, 600, scores, image=thumbnail(large.image))
    assert shrunk.image.shape == (480, 480, 3)
    assert draw_picture(shrunk, (0, 1)).overlay == draw_picture(large, (0, 1)).overlay
    assert draw_picture(shrunk, (0, 1)).numbers[1].x == 360


def test_scores_off_the_scale_take_the_end_colours():
    assert score_colours([-5, 105], (0, 100)) == score_colours([0, 100], (0, 100))
    red, blue = (rgb(colour) for colour in score_colours([0, 100], (0, 100)))
    assert red[0] > red[2] and blue[2] > blue[0]


def test_overlapping_tiles_keep_apart():
    origins = [(0, 0), (0, 120), (0, 240)]
    picture = draw_picture(example((240, 480), origins, 240, [0.0, 0.5, 1.0]), (0, 1))
    overlay = decode(picture.overlay)
    for middle, colour in zip((120, 240, 360), score_colours([0, 0.5, 1], (0, 1)), strict=True):
        for x in (middle - 50, middle + 50):
            np.testing.assert_array_equal(overlay[120, x, :3], rgb(colour))
    assert "overlapping" in picture.caption


def test_a_tile_larger_than_its_image_ends_at_the_edge():
    picture = draw_picture(example((100, 50), [(0, 0)], 256, [0.25]), (0, 1))
    assert (picture.width, picture.height) == (240, 480)
    assert [(n.x, n.y) for n in picture.numbers] == [(120, 240)]
    assert decode(picture.overlay)[-1, -1, 3] > 0
    assert picture.caption == "one tile, 0.25"


def test_thousands_of_tiles_stay_small_and_unnumbered():
    rows, columns = np.mgrid[0:100, 0:100] * 256
    origins = np.stack([rows.ravel(), columns.ravel()], axis=1)
    scores = np.random.default_rng(0).uniform(size=10_000)
    small = data.astronaut()[::2, ::2]
    picture = draw_picture(example((25_600, 25_600), origins, 256, scores, small), (0, 1))
    assert not picture.numbers
    assert len(picture.overlay) < 100_000


@pytest.mark.parametrize("size", [(1, 1), (64, 60_000), (60_000, 64)])
def test_extreme_shapes_are_drawn(size):
    image = np.zeros((1, 1, 3), np.uint8)
    origins = [(0, 0), (0, size[1] - 1), (size[0] - 1, 0)]
    picture = draw_picture(example(size, origins, 64, [0.0, 0.5, 1.0], image), (0, 1))
    assert decode(picture.overlay).shape == (picture.height, picture.width, 4)


def test_an_image_without_tiles_is_still_shown():
    picture = draw_picture(example((100, 100), np.zeros((0, 2)), 256, []), (0, 1))
    assert picture.caption == ""
    assert not decode(picture.overlay)[..., 3].any()


def test_whole_scores_on_a_wide_scale():
    picture = draw_picture(example((480, 480), [(0, 0)], 480, [63.4]), (0, 100))
    assert picture.numbers[0].text == "63"


def test_scores_must_match_tiles():
    with pytest.raises(ValueError, match=r"photo.jpg: 1 tile scores for 2 tiles"):
        draw_picture(example((10, 10), [(0, 0), (0, 5)], 5, [0.5]), (0, 1))


def test_thumbnail_keeps_small_images_and_the_shape_of_large_ones():
    assert thumbnail(small := np.zeros((480, 10, 3), np.uint8)) is small
    assert thumbnail(np.zeros((1000, 500, 3), np.uint8)).shape == (480, 240, 3)
