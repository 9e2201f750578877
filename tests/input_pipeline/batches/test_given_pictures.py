"""Whatever holds pictures can be scored, and what is none is refused by its place."""

import os
from pathlib import Path

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
