"""Explanations of a trained run: files, arrays, errors, and that they explain its answers."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import iqa_jax
from input_pipeline.tiles.sources import TileSource
from iqa_jax.evaluation.localise import localise
from iqa_jax.modes import SOME_FAILED
from iqa_jax.modes.explain import explain
from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.explainer import explainer_from_config
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


def test_company_changes_nothing(explainer, tiny_manifest, photo):
    others = [str(tiny_manifest.parent / f"scene{number}_0.png") for number in range(5)]
    alone = explainer.explain(photo)
    *_, together = explainer.explain_all([*others, photo])
    assert together.score == pytest.approx(alone.score, abs=1e-5)
    for name in ("tile_scores", "attention", "grad_cam"):
        np.testing.assert_allclose(
            getattr(together.maps, name), getattr(alone.maps, name), atol=1e-5
        )


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


def test_what_speaks_for_a_class_does_not_speak_for_the_other(explainer, photo):
    bad, good = (explainer.explain(photo, of=name) for name in ("bad", "good"))
    assert bad.explains == 'what speaks for "bad"' and good.explains == 'what speaks for "good"'
    np.testing.assert_array_equal(bad.maps.grad_cam, explainer.explain(photo).maps.grad_cam)
    # No cell speaks for both, and those of this photo are of one sign: none overlap in between.
    assert not (bad.maps.grad_cam * good.maps.grad_cam).any()
    assert (bad.maps.grad_cam + good.maps.grad_cam).max() > 0


def test_wrong_arguments_end_in_a_sentence(explainer, tiny_run, photo, tmp_path):
    with pytest.raises(ValueError, match="no class 'ugly' to explain; the classes are: bad, good"):
        explainer.explain(photo, of="ugly")
    with pytest.raises(TypeError, match="give uint8"):
        explainer.explain(photo.astype(float))
    with pytest.raises(WorkdirError, match=r"scores.csv: --mode=explain writes a folder"):
        explain(Workdir(tiny_run), str(tmp_path), str(tmp_path / "scores.csv"))


def test_localisation_of_a_split(tiny_run, tiny_manifest, tmp_path):
    workdir = Workdir(tiny_run)
    config = workdir.config()
    table = pd.read_csv(tiny_manifest)
    region = np.zeros((64, 64), bool)
    region[:, 32:] = True
    Image.fromarray(region).save(tmp_path / "half.png")
    Image.fromarray(region[:9]).save(tmp_path / "small.png")
    is_test = np.flatnonzero(table["split"] == "test")
    table["path"] = [str(tiny_manifest.parent / name) for name in table["path"]]
    table["region"] = ""
    table.loc[is_test[:3], "region"] = "half.png"
    table.loc[is_test[3], "region"] = "small.png"
    table.loc[is_test[4], "region"] = "nowhere.png"
    table.to_csv(tmp_path / "manifest.csv", index=False)
    manifest = build.manifest_from_config(config, tmp_path / "manifest.csv")
    source = TileSource(
        list(manifest.images["path"]), build.tiling_from_config(config), max_pixels=10**6
    )
    variables, _ = variables_from_config(workdir, config)
    arguments = (explainer_from_config(config), variables, manifest, source, workdir.features())
    limits = {"max_pixels": 10**6, "threads": 2}
    found = localise(*arguments, "test", **limits)
    # Masks that do not fit or cannot be read are left out; so are images without one.
    assert found["images"] == 3 and found["region_share"] == 0.5
    assert set(found["maps"]) == {"grad_cam", "attention", "tile_scores"}
    # The fusion is a mean: all tiles count the same, which is chance.
    assert found["maps"]["attention"] == {"pixel_auc": 0.5, "pointing_game": 0.5}
    assert localise(*arguments, "val", **limits) is None
