"""A trained run gives the same answers for files, for arrays and from the command line."""

import json
import shutil

import cv2
import jax
import numpy as np
import pandas as pd
import pytest

import iqa_jax
from iqa_jax.learning.checkpoint import CheckpointError
from iqa_jax.modes import SOME_FAILED
from iqa_jax.modes.evaluate import evaluate_run
from iqa_jax.modes.predict import predict
from iqa_jax.modes.train import train
from iqa_jax.run.config import config_to_json
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring import trained_run
from iqa_jax.scoring.image_explainer import load_explainer
from iqa_jax.scoring.tables.writers import TABLE_WRITERS

TRUST = ["uncertainty", "mutual_information", "lower", "upper", "ood", "abstain"]
MEASURED = ["sharpness", "noise", "exposure", "blockiness", "fault"]
COLUMNS = [
    *("path", "score", "label", "p_bad", "p_good"), *TRUST, "tiles", *MEASURED, "error", "warning",
]  # fmt: skip


@pytest.fixture(scope="module")
def scorer(tiny_run):
    return iqa_jax.load_scorer(tiny_run)


@pytest.fixture
def photos(tiny_manifest, tmp_path):
    """A folder with three good images, one of a single pixel, and three that are none."""
    for number in range(3):
        name = f"scene{number}_0.png"
        (tmp_path / name).write_bytes((tiny_manifest.parent / name).read_bytes())
    whole = (tmp_path / "scene0_0.png").read_bytes()
    (tmp_path / "corrupt.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    cv2.imwrite(str(tmp_path / "pixel.png"), np.full((1, 1, 3), 90, np.uint8))
    return tmp_path


def test_paths_and_arrays_and_files_agree(scorer, tiny_run, photos, tmp_path_factory):
    paths = sorted(photos.iterdir())
    rows = scorer.score(paths)
    assert list(rows.columns) == COLUMNS
    assert list(rows["path"]) == [str(path) for path in paths]
    is_good = rows["error"] == ""
    assert {path.name for path in np.array(paths)[is_good]} == {
        "pixel.png", "scene0_0.png", "scene1_0.png", "scene2_0.png",
    }  # fmt: skip
    assert rows["score"][is_good].between(0, 1).all() and rows["score"][~is_good].isna().all()
    assert rows["score"][is_good].nunique() == 4
    np.testing.assert_allclose(rows["p_good"][is_good], rows["score"][is_good])
    np.testing.assert_allclose((rows["p_good"] + rows["p_bad"])[is_good], 1, atol=1e-6)
    assert set(rows["label"][is_good]) <= {"bad", "marginal", "good"}
    for name, problem in (("empty", "zero bytes"), ("text", "not an image")):
        (error,) = rows["error"][rows["path"].str.contains(name)]
        assert problem in error

    arrays = [cv2.imread(path)[:, :, ::-1] for path in rows["path"][is_good]]
    again = scorer.score(arrays)
    assert (again["path"] == "").all()
    np.testing.assert_allclose(again["score"], rows["score"][is_good], atol=1e-6)

    output = tmp_path_factory.mktemp("output")
    for ending in TABLE_WRITERS:
        target = output / f"scores{ending}"
        assert predict(Workdir(tiny_run), str(photos), str(target)) == SOME_FAILED
    tables = [
        pd.read_csv(output / "scores.csv", keep_default_na=False, na_values={"score": [""]}),
        pd.read_json(output / "scores.jsonl", lines=True),
        pd.read_parquet(output / "scores.parquet"),
    ]
    for table in tables:
        assert list(table.columns) == COLUMNS
        assert list(table["path"]) == list(rows["path"])
        assert list(table["error"]) == list(rows["error"])
        np.testing.assert_allclose(table["score"].astype(float), rows["score"], atol=1e-6)
    assert sorted(path.name for path in output.iterdir()) == [
        "scores.csv", "scores.jsonl", "scores.parquet",
    ]  # fmt: skip


def test_predicting_and_evaluating_agree(scorer, tiny_run, tiny_manifest):
    known = pd.read_csv(tiny_run / "predictions_test.csv")
    rows = scorer.score([tiny_manifest.parent / name for name in known["path"]])
    np.testing.assert_allclose(rows["score"], known["score"], atol=1e-6)
    assert list(rows["label"]) == list(known["predicted"])


def test_a_run_without_what_these_columns_need_still_predicts(
    scorer, tiny_run, photos, tmp_path_factory
):
    old = tmp_path_factory.mktemp("old") / "run"
    shutil.copytree(tiny_run, old)
    (old / "confidence.npz").unlink()
    paths = [photos / "scene0_0.png", photos / "text.jpg"]
    rows = iqa_jax.load_scorer(old).score(paths)
    assert list(rows.columns) == COLUMNS
    assert rows["score"][0] == scorer.score(paths)["score"][0]
    assert rows[[*TRUST[1:]]].isna().all(axis=None)
    p = rows.loc[0, ["p_bad", "p_good"]].to_numpy(float)
    assert rows["uncertainty"][0] == pytest.approx(-(p * np.log(p)).sum())
    assert rows.loc[1, TRUST].isna().all()


def test_views_and_passes_reach_evaluating_and_predicting_alike(
    tiny_run, tiny_manifest, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    workdir = Workdir(folder)
    config = workdir.config()
    config.tta.flips, config.uncertainty.mc_samples = "horizontal", 3
    # So few images fit in the split that these are what they suffice for.
    config.uncertainty.coverage = config.uncertainty.ood_quantile = 0.5
    workdir.write_text("config.json", config_to_json(config))
    metrics = evaluate_run(workdir)
    before = json.loads((tiny_run / "metrics.json").read_text())
    gain = metrics["val"]["tta_gain"]
    assert gain["metric"] == "auroc" and gain["tta"] == metrics["val"]["auroc"]
    assert gain["plain"] == before["val"]["auroc"]
    assert gain["gain"] == pytest.approx(gain["tta"] - gain["plain"])
    assert "val, mean over views: plain" in capsys.readouterr().out

    known = pd.read_csv(folder / "predictions_test.csv")
    assert {"coverage", "abstained", "out_of_domain"}.isdisjoint(metrics["val"])
    assert metrics["test"]["abstained"] == known["abstain"].mean()
    assert metrics["test"]["out_of_domain"] == known["ood"].mean()
    assert 0 <= metrics["test"]["coverage"] <= 1
    paths = [tiny_manifest.parent / name for name in known["path"]]
    rows = iqa_jax.load_scorer(folder).score(paths)
    for column in ("score", "uncertainty", "mutual_information"):
        np.testing.assert_allclose(rows[column], known[column], atol=1e-6)
    assert list(rows["ood"]) == list(known["ood"])
    assert list(rows["abstain"]) == list(known["abstain"])
    # A mirrored photograph has the same two views.
    mirrored = [np.ascontiguousarray(cv2.imread(str(path))[:, ::-1, ::-1]) for path in paths]
    again = iqa_jax.load_scorer(folder).score(mirrored)
    np.testing.assert_allclose(again["score"], rows["score"], atol=1e-6)
    np.testing.assert_allclose(again["uncertainty"], rows["uncertainty"], atol=1e-6)
    plain = pd.read_csv(tiny_run / "predictions_test.csv")
    assert np.abs(plain["score"] - known["score"]).max() > 1e-6

    target = tmp_path / "scores.parquet"
    assert predict(workdir, str(tiny_manifest.parent / "scene5_0.png"), str(target)) == 0
    (row,) = pd.read_parquet(target).to_dict("records")
    assert type(row["ood"]) is type(row["abstain"]) is bool and np.isnan(row["lower"])


def test_a_table_of_images(tiny_run, tiny_manifest, tmp_path):
    table = tmp_path / "list.csv"
    table.write_text(f"path\n{tiny_manifest.parent / 'scene1_2.png'}\n")
    assert predict(Workdir(tiny_run), str(table), str(tmp_path / "scores.jsonl")) == 0
    (line,) = (tmp_path / "scores.jsonl").read_text().splitlines()
    assert json.loads(line)["tiles"] == 4


def test_no_pictures(scorer):
    assert list(scorer.score([]).columns) == COLUMNS


def test_one_picture_in_place_of_a_list_is_refused(scorer):
    for one in ("photo.jpg", np.zeros((40, 40, 3), np.uint8)):
        with pytest.raises(TypeError, match="give a list of pictures"):
            scorer.score(one)


@pytest.mark.parametrize(
    ("picture", "error", "sentence"),
    [
        (np.zeros((40, 40, 3), np.float32), TypeError, "picture 1 .* float32 .*give uint8"),
        (np.zeros((40, 40), np.uint8), ValueError, r"picture 1 .*\(40, 40\).*\[height, width, 3\]"),
        (np.zeros((40, 40, 4), np.uint8), ValueError, r"\(40, 40, 4\)"),
        (np.zeros((0, 40, 3), np.uint8), ValueError, r"\(0, 40, 3\)"),
    ],
)
def test_an_array_that_is_no_image_is_refused(scorer, picture, error, sentence):
    with pytest.raises(error, match=sentence):
        scorer.score([np.zeros((40, 40, 3), np.uint8), picture])


def test_bad_places_end_in_a_sentence(tiny_run, photos, tmp_path):
    run = Workdir(tiny_run)
    with pytest.raises(WorkdirError, match=r"scores.xlsx: the ending must be one of .csv"):
        predict(run, str(photos), str(tmp_path / "scores.xlsx"))
    with pytest.raises(WorkdirError, match="there is no folder"):
        predict(run, str(photos), str(tmp_path / "nowhere" / "scores.csv"))
    with pytest.raises(WorkdirError, match="holds no run"):
        iqa_jax.load_scorer(tmp_path / "nowhere")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.json").write_text((tiny_run / "config.json").read_text())
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        iqa_jax.load_scorer(tmp_path / "begun")


@pytest.mark.parametrize("is_higher_better", [True, False])
def test_predict_and_explain_stay_on_the_scale(
    tiny_manifest, tiny_config, tmp_path, monkeypatch, is_higher_better
):
    table = pd.read_csv(tiny_manifest)
    table["path"] = [str(tiny_manifest.parent / name) for name in table["path"]]
    # Labels lie at the very ends too.
    table["label"] = np.where(table["label"] == "good", 100, 0)
    manifest = tmp_path / "manifest.csv"
    table.to_csv(manifest, index=False)
    config = tiny_config
    config.data.manifest, config.data.label_kind = str(manifest), "numeric"
    config.data.higher_is_better, config.balanced_sampling = is_higher_better, False
    config.early_stopping.metric, config.epochs = "srcc", 1
    config.uncertainty.coverage, config.uncertainty.ood = 0.5, "none"
    run = tmp_path / "run"
    assert train(config, str(run), "") == 0

    def outlying(factor):
        def restore(workdir, config):
            variables, step = restore_trained(workdir, config)
            head = dict(variables["params"]["head"])
            head["output"] = jax.tree.map(lambda leaf: factor * leaf, head["output"])
            return {**variables, "params": {**variables["params"], "head": head}}, step

        return restore

    restore_trained = trained_run.restore_trained
    orders = []
    for factor in (1, 1e5):
        monkeypatch.setattr(trained_run, "restore_trained", outlying(factor))
        output = tmp_path / f"scores{factor}.csv"
        assert predict(Workdir(run), str(manifest), str(output)) == 0
        rows = pd.read_csv(output)
        score = rows["score"]
        assert score.between(0, 100).all()
        assert (rows["lower"] <= score).all() and (score <= rows["upper"]).all()
        assert rows["lower"].between(0, 100).all() and rows["upper"].between(0, 100).all()
        (found,) = load_explainer(run).explain_all(rows["path"][:1].tolist())
        assert found.score == pytest.approx(score[0], abs=1e-3)
        assert ((found.maps.tile_scores >= 0) & (found.maps.tile_scores <= 100)).all()
        orders.append(score)
    # Far outliers indeed: most are in the outermost tenths now, and still told apart.
    assert (abs(orders[1] - 50) > 45).mean() > 0.5
    assert orders[1].nunique() > 35
