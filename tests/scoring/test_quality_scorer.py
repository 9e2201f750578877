"""Whatever holds pictures can be scored, and what is none is refused by its place."""

import io
import itertools
import os
import tracemalloc
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import iqa_jax


@pytest.fixture(scope="module")
def scorer(tiny_run):
    return iqa_jax.load_scorer(tiny_run)


@pytest.fixture(scope="module")
def paths(tiny_manifest):
    return [str(tiny_manifest.parent / f"scene{number}_{number % 2}.png") for number in range(4)]


class Place:
    def __init__(self, path):
        self._path = path

    def __fspath__(self):
        return self._path


@pytest.mark.parametrize(
    "hold",
    [
        tuple,
        iter,
        lambda paths: (path for path in paths),
        lambda paths: map(Path, paths),
        lambda paths: [Place(path) for path in paths],
        lambda paths: [Place(os.fsencode(path)) for path in paths],
        lambda paths: [PurePosixPath(path) for path in paths],
        pd.Series,
        np.array,
        lambda paths: np.array(paths, object),
        lambda paths: dict.fromkeys(paths),
        lambda paths: [Image.open(path) for path in paths],
        lambda paths: (Image.open(path) for path in paths),
        lambda paths: [np.asarray(Image.open(path)) for path in paths],
        lambda paths: np.stack([np.asarray(Image.open(path)) for path in paths]),
    ],
)
def test_any_iterable_of_pictures(scorer, paths, hold):
    known, found = scorer.score(paths), scorer.score(hold(paths))
    pd.testing.assert_frame_equal(found.drop(columns="path"), known.drop(columns="path"))
    assert list(found["path"]) in (paths, [""] * 4)


def test_an_endless_stream_has_rows(scorer, paths):
    rows = scorer.rows(itertools.cycle(paths))
    assert [row["path"] for row in itertools.islice(rows, 6)] == [*paths, *paths[:2]]


def test_a_stream_of_large_pictures_takes_little_memory(scorer, monkeypatch):
    monkeypatch.setattr("iqa_jax.scoring.quality_scorer._BYTES_PER_BLOCK", 1 << 20)
    made = (np.full((512, 512, 3), number, np.uint8) for number in range(64))
    next(scorer.rows(np.zeros((1, 32, 32, 3), np.uint8)))
    tracemalloc.start()
    try:
        next(scorer.rows(made))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # All of them are 50 MB; their tiles are as much again.
    assert peak < 30e6


def test_a_picture_that_cannot_be_read_has_a_row(scorer, paths):
    data = Path(paths[0]).read_bytes()
    cut = Image.open(io.BytesIO(data[: len(data) // 2]))
    given = [cut, Image.new("F", (8, 8)), "a\0b.png", "\ud800.png", paths[1]]
    table = scorer.score(given)
    for place, sentence in enumerate(
        ("picture 0: this Pillow image", "picture 1: holds samples", "no file can", "no file can")
    ):
        assert sentence in table["error"][place]
    assert table["error"][4] == ""
