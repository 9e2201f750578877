"""Explanations of single images: of one class or another, in any company."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import iqa_jax


@pytest.fixture(scope="module")
def explainer(tiny_run):
    return iqa_jax.load_explainer(tiny_run)


@pytest.fixture(scope="module")
def photo(tiny_manifest):
    return cv2.imread(str(tiny_manifest.parent / "scene1_1.png"))[:, :, ::-1]


def test_company_changes_nothing(explainer, tiny_manifest, photo):
    others = [str(tiny_manifest.parent / f"scene{number}_0.png") for number in range(5)]
    alone = explainer.explain(photo)
    *_, together = explainer.explain_all([*others, photo])
    assert together.score == pytest.approx(alone.score, abs=1e-5)
    for name in ("tile_scores", "attention", "grad_cam"):
        np.testing.assert_allclose(
            getattr(together.maps, name), getattr(alone.maps, name), atol=1e-5
        )


def test_what_speaks_for_a_class_does_not_speak_for_the_other(explainer, photo):
    bad, good = (explainer.explain(photo, of=name) for name in ("bad", "good"))
    assert bad.explains == 'what speaks for "bad"' and good.explains == 'what speaks for "good"'
    np.testing.assert_array_equal(bad.maps.grad_cam, explainer.explain(photo).maps.grad_cam)
    # No cell speaks for both, and those of this photo are of one sign: none overlap in between.
    assert not (bad.maps.grad_cam * good.maps.grad_cam).any()
    assert (bad.maps.grad_cam + good.maps.grad_cam).max() > 0


@pytest.fixture(scope="module")
def paths(tiny_manifest):
    return [str(tiny_manifest.parent / f"scene{number}_{number % 2}.png") for number in range(4)]


class Place:
    def __init__(self, path):
        self._path = path

    def __fspath__(self):
        return self._path


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


def test_a_picture_above_the_reference_side_is_explained_all_over(
    explainer, tiny_run, photo, tmp_path
):
    shutil.copytree(tiny_run, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["tiles"]["reference_side"] = 64
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    limited = iqa_jax.load_explainer(tmp_path / "run")
    large = np.repeat(np.repeat(np.hstack([photo, photo[::-1]]), 5, axis=0), 5, axis=1)
    found, expected = limited.explain(large), explainer.explain(np.hstack([photo, photo[::-1]]))
    np.testing.assert_array_equal(found.image, expected.image)
    assert found.tiles == 8 and found.score == pytest.approx(expected.score, abs=1e-6)
    for name in ("tile_scores", "attention", "grad_cam"):
        values = getattr(found.maps, name)
        assert values.shape == (64, 128) and np.isfinite(values).all()
        np.testing.assert_allclose(values, getattr(expected.maps, name), atol=1e-6)
