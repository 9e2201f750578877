"""A run that is opened once: all who ask it answer by its values, and it says what it lacks."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from input_pipeline.tiles.features import FeatureTable
from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.evaluation.splits import evaluate_splits
from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.fitted import fitted_settings_from_config
from iqa_jax.scoring.image_explainer import image_explainer_from_config
from iqa_jax.scoring.quality_scorer import quality_scorer_from_config
from iqa_jax.scoring.trained_run import TrainedRun


@pytest.fixture(scope="module")
def run(tiny_run):
    return TrainedRun.open(Workdir(tiny_run))


@pytest.fixture
def config(tiny_run):
    return Workdir(tiny_run).config()


def with_changes(run, config, **changes):
    """The run with other settings; gives them too."""
    config = config.copy_and_resolve_references()
    config.update_from_flattened_dict(changes)
    return dataclasses.replace(run, settings=fitted_settings_from_config(config)), config


def test_all_who_ask_a_run_answer_by_its_values(run, config, tiny_run, tiny_manifest, tmp_path):
    # Not those of its folder: any image is rather bad, and what is neither is marginal.
    towards_bad = CalibrationMap(1.0, (2.0, -2.0), 0.5, False, 9)
    calibration = dict.fromkeys(run.calibration, towards_bad)
    moved = dataclasses.replace(run, calibration=calibration, thresholds=(0.05, 0.95))
    path = str(tiny_manifest.parent / "scene5_2.png")
    row = quality_scorer_from_config(config, moved).score([path]).iloc[0]
    explanation = image_explainer_from_config(config, moved).explain(path)
    manifest = build.manifest_from_config(config)
    source = build.source_from_config(config, manifest)
    evaluator = evaluator_from_config(config, manifest, source, run.features, is_thorough=True)
    found = evaluate_splits(
        moved, Workdir(tiny_run), evaluator, ["test"], output=Workdir(tmp_path), is_own=False
    )
    table = pd.read_csv(tmp_path / "predictions_test.csv").set_index("path")
    evaluated = table.loc["scene5_2.png"]
    assert found.run is moved
    for one in (row["score"], explanation.score):
        assert one == pytest.approx(evaluated["score"], abs=1e-5)
    assert row["label"] == explanation.label == evaluated["predicted"] == "marginal"
    assert row["uncertainty"] == pytest.approx(evaluated["uncertainty"], abs=1e-5)
    plain = (
        quality_scorer_from_config(config, dataclasses.replace(run, calibration=None))
        .score([path])
        .iloc[0]
    )
    raw = plain[["p_bad", "p_good"]].to_numpy(float)
    assert row["score"] == pytest.approx(towards_bad(raw)[1], abs=1e-5)
    assert row["score"] < 0.9 * plain["score"]


def test_what_a_run_lacks(run, config, tiny_run, tmp_path, capsys):
    assert run.lacks == {}
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    for name in ("calibration.json", "confidence.npz", "thresholds.json"):
        (folder / name).unlink()
    bare = TrainedRun.open(Workdir(folder))
    assert (bare.calibration, bare.confidence, bare.thresholds) == (None, None, None)
    assert bare.lacks.keys() == {"calibration", "confidence"}
    assert bare.lacks["calibration"].endswith(f"--mode=evaluate --workdir={folder}")
    # Nothing is said of it before it is asked for an answer.
    assert capsys.readouterr().err == ""
    quality_scorer_from_config(config, bare)
    assert capsys.readouterr().err.startswith("probabilities and labels are not calibrated")
    anomalies, changed = with_changes(run, config, **{"anomaly.kind": "coreset"})
    assert anomalies.lacks.keys() == {"detector"}
    image_explainer_from_config(changed, anomalies)
    assert "start the command again that trains the run" in capsys.readouterr().out
    scores, _ = with_changes(run, config, **{"data.label_kind": "numeric"})
    assert scores.lacks.keys() == {"score_maps"}


def test_what_is_fitted_for_another_step_is_not_read(run, tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    later = dataclasses.replace(run, step=run.step + 1).refitted(Workdir(folder))
    assert later.variables is run.variables
    assert (later.calibration, later.thresholds, later.confidence) == (None, None, None)
    again = dataclasses.replace(later, step=run.step).refitted(Workdir(folder))
    assert again.calibration == run.calibration and again.thresholds == run.thresholds


def test_features_that_no_picture_gives_must_come(run, config, tiny_manifest):
    features = FeatureTable(("n_tiles", "exposure", "iso"), (0.0,) * 3, (1.0,) * 3)
    needy, path = dataclasses.replace(run, features=features), tiny_manifest.parent / "scene0_0.png"
    assert needy.table_features == ["exposure", "iso"] and run.table_features == []
    sentence = "this run also needs exposure, iso for every image: give a CSV"
    explainer = image_explainer_from_config(config, needy)
    # No table, and one that lacks a column.
    for images in (None, pd.DataFrame({"exposure": [1.0]})):
        with pytest.raises(WorkdirError, match=sentence):
            list(explainer.explain_all([path], images))
    with pytest.raises(WorkdirError, match=sentence):
        quality_scorer_from_config(config, needy).score([path])
    needy.check_features([{"exposure": 1.0, "iso": 100.0}, ["iso", "exposure", "more"]])
    with pytest.raises(WorkdirError, match=sentence):
        needy.check_features([{"exposure": 1.0, "iso": 100.0}, {"iso": 100.0}])
    run.check_features([(), {}])


def test_a_run_is_asked_wherever_its_folder_is_gone_to(config, tiny_run, tiny_manifest, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    run, path = TrainedRun.open(Workdir(folder)), str(tiny_manifest.parent / "scene5_1.png")
    shutil.rmtree(folder)
    found, explanation = (
        quality_scorer_from_config(config, run).score([path]),
        image_explainer_from_config(config, run).explain(path),
    )
    assert found["error"][0] == explanation.error == ""
    np.testing.assert_allclose(found["score"][0], explanation.score, atol=1e-5)
