"""Explanations of a trained run: files, arrays, errors, and that they explain its answers."""

import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import iqa_jax
from iqa_jax.modes import SOME_FAILED
from iqa_jax.modes.explain import explain
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.fitted.calibration import read_calibration
from iqa_jax.scoring.fitted.probe import variables_from_config


@pytest.fixture(scope="module")
def explainer(tiny_run):
    return iqa_jax.load_explainer(tiny_run)


@pytest.fixture(scope="module")
def photo(tiny_manifest):
    return cv2.imread(str(tiny_manifest.parent / "scene1_1.png"))[:, :, ::-1]


def test_a_folder_is_explained(tiny_run, tiny_manifest, tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "new" / "explained"
    (photos / "deep").mkdir(parents=True)
    names = ["a $b: é.png", "deep/a $b: é.png", "c.jpg"]
    for name in names[:2]:
        shutil.copy(tiny_manifest.parent / "scene0_1.png", photos / name)
    (photos / names[2]).write_text("no image")
    assert explain(Workdir(tiny_run), str(photos), str(output)) == SOME_FAILED
    table = pd.read_csv(output / "index.csv", keep_default_na=False)
    about = ["score", "label", "anomaly", "tiles", "error", "warning"]
    assert list(table.columns) == ["path", "figure", "maps", *about]
    assert (table["anomaly"] == "").all()  # The run has no detector.
    assert list(table["path"]) == [str(photos / name) for name in (names[0], names[2], names[1])]
    bad = table.iloc[1]
    assert "not an image" in bad["error"] and not bad["figure"] and not bad["maps"]
    good = table.drop(1)
    assert (good["error"] == "").all() and (good["tiles"] == 4).all()
    known = iqa_jax.load_scorer(tiny_run).score(list(good["path"]))
    np.testing.assert_allclose(good["score"].astype(float), known["score"], atol=1e-5)
    assert list(good["label"]) == list(known["label"])
    workdir = Workdir(tiny_run)
    config = workdir.config()
    _, step = variables_from_config(workdir, config)
    calibrate = read_calibration(workdir, step)["mean_score"]
    files = sorted(path.name for path in output.iterdir())
    assert files == sorted(["index.csv", *good["figure"], *good["maps"]]) and len(files) == 5
    assert all(name.isascii() and " " not in name and "$" not in name for name in files)
    for _, row in good.iterrows():
        with Image.open(output / row["figure"]) as figure:
            assert figure.format == "PNG" and figure.width > 3 * figure.height > 600
        with np.load(output / row["maps"]) as maps:
            for name in ("tile_scores", "attention", "grad_cam"):
                assert maps[name].shape == (64, 64) and maps[name].dtype == np.float32
            assert maps["step"] == 1 and (maps["height"], maps["width"]) == (64, 64)
            assert float(maps["score"]) == pytest.approx(float(row["score"]))
            # The tiles do not overlap and the headline is their mean, calibrated.
            mean = maps["tile_scores"].mean()
            expected = calibrate(np.array([1 - mean, mean]))[1]
            assert float(row["score"]) == pytest.approx(expected, abs=1e-5)
            assert (maps["grad_cam"] >= 0).all()


def test_wrong_arguments_end_in_a_sentence(explainer, tiny_run, photo, tmp_path):
    with pytest.raises(ValueError, match="no class 'ugly' to explain; the classes are: bad, good"):
        explainer.explain(photo, of="ugly")
    with pytest.raises(TypeError, match="give uint8"):
        explainer.explain(photo.astype(float))
    with pytest.raises(WorkdirError, match=r"scores.csv: --mode=explain writes a folder"):
        explain(Workdir(tiny_run), str(tmp_path), str(tmp_path / "scores.csv"))
