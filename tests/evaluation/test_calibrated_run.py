"""One image has one calibrated answer, wherever a run is asked; `val` is never judged by it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import iqa_jax
from iqa_jax.evaluation.evaluation import calibrate_evaluation
from iqa_jax.evaluation.evaluator import evaluator_from_config
from iqa_jax.modes.evaluate import evaluate_run
from iqa_jax.run import build
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.calibration import read_calibration
from iqa_jax.scoring.fitted.confidence import (
    confidence_settings_from_config,
    read_confidence,
    uncertainty_of,
)
from iqa_jax.scoring.fitted.probe import variables_from_config

CLASSES = ["p_bad", "p_good"]


@pytest.fixture(scope="module")
def run(tiny_run):
    """The run, its maps, and the raw evaluation of a split."""
    workdir = Workdir(tiny_run)
    config = workdir.config()
    variables, step = variables_from_config(workdir, config)
    manifest = build.manifest_from_config(config)
    source = build.source_from_config(config, manifest)
    evaluator = evaluator_from_config(config, manifest, source, workdir.features())
    maps = read_calibration(workdir, step)
    return config, maps, {name: evaluator(variables, name) for name in ("val", "test")}


def test_every_fusion_has_a_map_and_no_order_changes(run):
    config, maps, raw = run
    assert maps.keys() == raw["test"].metrics["fusions"].keys()
    for evaluation in raw.values():
        answers = calibrate_evaluation(evaluation, maps)
        for fusion in maps:
            before, after = (part.values(fusion)[:, 1] for part in (evaluation, answers))
            np.testing.assert_array_equal(np.argsort(before, kind="stable"),
                                          np.argsort(after, kind="stable"))  # fmt: skip
            figures = evaluation.metrics["fusions"][fusion], answers.metrics["fusions"][fusion]
            assert figures[0]["auroc"] == figures[1]["auroc"]
            assert figures[0]["log_loss"] != figures[1]["log_loss"]
        for one, other in zip(evaluation.answers, answers.answers, strict=True):
            np.testing.assert_array_equal(one.tile_values, other.tile_values)


def test_evaluating_predicting_and_explaining_agree(run, tiny_run, tiny_manifest):
    _, maps, raw = run
    for split in ("val", "test"):
        table = pd.read_csv(tiny_run / f"predictions_{split}.csv")
        expected = maps["mean_score"](raw[split].values("mean_score"))
        np.testing.assert_allclose(table[CLASSES], expected, atol=1e-5)
        paths = [tiny_manifest.parent / name for name in table["path"]]
        rows = iqa_jax.load_scorer(tiny_run).score(paths)
        np.testing.assert_allclose(rows[CLASSES], expected, atol=1e-5)
        assert rows["label"].tolist() == table["predicted"].tolist()
        np.testing.assert_allclose(rows["uncertainty"], table["uncertainty"], atol=1e-4)
        assert rows["abstain"].isna().tolist() == table["abstain"].isna().tolist()
        found = list(iqa_jax.load_explainer(tiny_run).explain_all(paths[:3]))
        np.testing.assert_allclose([one.score for one in found], expected[:3, 1], atol=1e-5)
        assert [one.label for one in found] == table["predicted"].tolist()[:3]


def test_the_rows_that_it_was_fitted_on_are_judged_by_raw_answers(run, tiny_run):
    config, maps, raw = run
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    val, test = metrics["val"], metrics["test"]
    assert (val["is_calibrated"], test["is_calibrated"]) == (False, True)
    for name in ("ece", "log_loss", "accuracy"):
        assert val[name] == pytest.approx(raw["val"].metrics[name], abs=1e-5)
    assert not {"ece_raw", "fitted_on"} & val["calibration"].keys()
    calibrated = calibrate_evaluation(raw["test"], maps)
    assert test["log_loss"] == pytest.approx(calibrated.metrics["log_loss"], abs=1e-5)
    assert test["calibration"]["log_loss_raw"] == pytest.approx(
        raw["test"].metrics["log_loss"], abs=1e-5
    )
    report = (tiny_run / "report.html").read_text()
    assert "before calibration, which was fitted on them" in report
    assert "temperature" not in (tiny_run / "metrics.json").read_text()
    assert not (tiny_run / "temperature.json").exists()


def test_a_run_from_before_answers_raw_and_says_what_to_do(run, tiny_run, tmp_path, capsys):
    config, _, raw = run
    old = tmp_path / "old"
    shutil.copytree(tiny_run, old)
    (old / "calibration.json").unlink()
    step = json.loads((old / "metrics.json").read_text())["test"]["step"]
    (old / "temperature.json").write_text(json.dumps({"step": step, "temperature": 1.3}))
    now = iqa_jax.load_scorer(tiny_run)
    capsys.readouterr()
    scorer = iqa_jax.load_scorer(old)
    said = capsys.readouterr().err
    assert "not calibrated" in said and f"--mode=evaluate --workdir={old}" in said
    images = raw["test"].images
    manifest = build.manifest_from_config(config).path
    paths = [manifest.parent / name for name in images["name"]]
    np.testing.assert_allclose(
        scorer.score(paths)[CLASSES], raw["test"].values("mean_score"), atol=1e-5
    )
    assert scorer.fingerprint() != now.fingerprint()

    # What an older evaluation fitted on raw answers does not outlive them.
    workdir = Workdir(old)
    evaluate_run(workdir)
    assert "not calibrated" not in capsys.readouterr().err
    found, expected = (
        read_confidence(one, step, confidence_settings_from_config(config))
        for one in (workdir, Workdir(tiny_run))
    )
    assert found.quantile == pytest.approx(expected.quantile, abs=1e-5)
    assert iqa_jax.load_scorer(old).score(paths)["p_good"].to_numpy() == pytest.approx(
        now.score(paths)["p_good"].to_numpy(), abs=1e-5
    )


def test_samples_and_views_go_through_the_map_one_by_one(run):
    config, maps, _ = run
    raw = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    answer = Answered(
        0, {"mean_score": raw.mean(axis=0)}, raw, np.ones(3), None, samples=raw, views=raw
    )
    found, to_map = answer.calibrated(maps, "mean_score"), maps["mean_score"]
    np.testing.assert_array_equal(found.values["mean_score"], to_map(raw.mean(axis=0)))
    for part in (found.samples, found.views):
        np.testing.assert_array_equal(part, to_map(raw))
    # Without samples, the entropy is that of the probabilities in the same row.
    alone = answer.calibrated(maps, "mean_score").values["mean_score"]
    plain = Answered(0, {"mean_score": alone}, raw, np.ones(3), None, views=found.views)
    assert uncertainty_of(kind_from_config(config), "mean_score", plain) == pytest.approx(
        -(alone * np.log(alone)).sum()
    )
    bad = Answered(0, {}, raw[:0], np.zeros(0), None, "text.jpg: not an image")
    assert bad.calibrated(maps, "mean_score").error == bad.error
