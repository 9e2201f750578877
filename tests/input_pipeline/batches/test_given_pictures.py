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
from input_pipeline.files.images import load


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


@pytest.mark.parametrize(
    "one",
    [
        lambda path: path,
        Path,
        Place,
        os.fsencode,
        Image.open,
        lambda path: np.asarray(Image.open(path)),
        lambda path: np.asarray(Image.open(path).convert("L")),
        lambda path: np.array(path),
        lambda path: 7,
        lambda path: pd.DataFrame({"path": [path]}),
    ],
)
def test_a_single_picture_is_refused(scorer, paths, one):
    with pytest.raises(TypeError, match="give a list of pictures, even for one"):
        scorer.score(one(paths[0]))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (None, "picture 2 is of type NoneType; give a path"),
        (float("nan"), "picture 2 is of type float"),
        (b"a.png", "picture 2 is of type bytes"),
        (["a.png"], "picture 2 is of type list"),
        (np.zeros((4, 4, 3)), "picture 2 is an array of float64"),
    ],
)
def test_a_wrong_element_is_named_by_its_place(scorer, paths, wrong, sentence, monkeypatch):
    given = [*paths[:2], wrong]
    with pytest.raises(TypeError, match=sentence):
        scorer.score(iter(given))
    # Where it can be seen at once, nothing is scored in vain.
    monkeypatch.setattr(type(scorer), "rows", None)
    with pytest.raises(TypeError, match=sentence):
        scorer.score(given)


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


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory, paths):
    """Files whose pixels need a rule: turned, transparent, a palette, 16 bits, CMYK, grey."""
    folder = tmp_path_factory.mktemp("odd")
    photo = Image.open(paths[0]).crop((0, 0, 40, 24))
    turned = Image.Exif()
    turned[0x0112] = 6
    photo.save(folder / "turned.jpg", exif=turned, quality=90)
    photo.save(folder / "turned.png", exif=turned)
    photo.save(folder / "turned.tif", exif=turned)
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.convert("L").save(folder / "grey.png")
    photo.quantize(16).save(folder / "palette.gif", transparency=3)
    clear = photo.convert("RGBA")
    clear.putalpha(photo.convert("L"))
    clear.save(folder / "clear.png")
    deep = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    return sorted(folder.iterdir())


def test_pillow_images_are_converted_as_files_are(scorer, odd_files):
    known = scorer.score(odd_files)
    assert (known["error"] == "").all() and known["score"].nunique() >= 5
    for is_loaded in (False, True):
        images = [Image.open(path) for path in odd_files]
        if is_loaded:
            for image in images:
                image.load()
        found = scorer.score(images)
        assert list(found["score"]) == list(known["score"])
        assert list(found["tiles"]) == list(known["tiles"])


def test_a_gif_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (9, 5), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(load(tmp_path / "two.gif"), np.full((5, 9, 3), (255, 0, 0)))


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


def test_an_explainer_takes_the_same(tiny_run, paths):
    explainer, path = iqa_jax.load_explainer(tiny_run), paths[0]
    image = Image.open(path)
    known = explainer.explain(path)
    for given in (Path(path), Place(path), image, np.asarray(image)):
        found = explainer.explain(given)
        assert found.score == known.score
        np.testing.assert_array_equal(found.maps.grad_cam, known.maps.grad_cam)
    assert "holds samples" in explainer.explain(Image.new("I", (8, 8))).error
    for wrong in ([path], None, b"a.png"):
        with pytest.raises(TypeError, match="picture 0 is of type"):
            explainer.explain(wrong)
