"""Evaluating again agrees with the loop; what is not there is refused before the work."""

import json

import pytest

from input_pipeline.tables.table_files import ManifestError
from iqa_jax.modes.evaluate import evaluate_run
from iqa_jax.modes.train import TrainingError, train
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.trained_run import TrainedRun
from runs_elsewhere import last_checkpoint


def test_the_loop_and_the_evaluator_agree(tiny_run):
    before = json.loads((tiny_run / "metrics.json").read_text())
    logged = {entry["step"]: entry for entry in Workdir(tiny_run).history() if "val/auroc" in entry}
    assert sorted(logged) == [6, 12]
    _, record = last_checkpoint(tiny_run)
    (best,) = Workdir(tiny_run).best.steps
    assert record["best"]["step"] == best
    assert record["best"]["value"] == logged[best]["val/auroc"]
    assert record["best"]["value"] == max(entry["val/auroc"] for entry in logged.values())
    again = evaluate_run(Workdir(tiny_run))
    assert again == before
    figures = again["val"]["fusions"]["mean_score"]
    for name in ("auroc", "accuracy", "log_loss"):
        assert figures[name] == logged[best][f"val/{name}"], name


def test_a_split_that_is_not_there_is_refused_before_the_work(
    tiny_config, tiny_run, tmp_path, monkeypatch
):
    tiny_config.uncertainty.split = "calibration"
    with pytest.raises(TrainingError, match='uncertainty.split is "calibration"; the splits of'):
        train(tiny_config, str(tmp_path / "run"), "")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(TrainedRun, "open", lambda *_: pytest.fail("it went on"))
    with pytest.raises(ManifestError, match="there is no split 'tset'.*did you mean 'test'"):
        evaluate_run(Workdir(tiny_run), split="tset")
