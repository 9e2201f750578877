"""What is fitted on val hangs on its answers alone, and is left out where they tell nothing."""

import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis.kinds import KINDS
from iqa_jax.evaluation.evaluation import measure_answers
from iqa_jax.evaluation.fitting import fit_on_val
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.calibration import read_calibration
from iqa_jax.scoring.fitted.thresholds import read_thresholds

BINARY = KINDS["binary"](classes=("bad", "good"), marginal="marginal")


def evaluate(labels, kind=BINARY, seed=0):
    """Evaluates answers that know the labels and are far too sure of what they say."""
    rng = np.random.default_rng(seed)
    centre = np.choose(np.add(labels, 1), (0.0, -1.5, 1.5))
    good = 1 / (1 + np.exp(-4 * (centre + rng.normal(0, 1, len(labels)))))
    answers = [
        Answered(number, {"mean_score": np.array([1 - p, p])}, np.zeros((1, 2)), np.ones(1), None)
        for number, p in enumerate(good)
    ]
    images = pd.DataFrame({"label": labels})
    return measure_answers(answers, images, None, kind=kind, headline="mean_score")


def test_maps_and_thresholds_are_kept_for_their_step(tmp_path):
    workdir, evaluation = Workdir(tmp_path), evaluate([-1, 0, 1, 0, 1] * 40)
    fit_on_val(workdir, BINARY, evaluation, 7)
    (found,) = read_calibration(workdir, 7).values()
    raw = evaluation.values("mean_score")[evaluation.labels >= 0]
    labels = evaluation.labels[evaluation.labels >= 0]
    losses = [-np.log(values[np.arange(160), labels]).mean() for values in (raw, found(raw))]
    assert losses[1] < losses[0] and found.images == 160
    # The thresholds are on the scale of the calibrated answers, around its middle.
    low, high = read_thresholds(workdir, 7)
    scores = found(evaluation.values("mean_score"))[:, 1]
    marginal = scores[evaluation.labels < 0]
    assert scores.min() < low < high < scores.max()
    assert ((low <= marginal) & (marginal <= high)).mean() > 0.5
    assert read_calibration(workdir, 8) is None


@pytest.mark.parametrize("evaluation", [None, evaluate([1] * 20)], ids=["no val", "one class"])
def test_without_two_classes_there_is_no_map_and_that_is_kept(tmp_path, evaluation, capsys):
    workdir = Workdir(tmp_path)
    fit_on_val(workdir, BINARY, evaluation, 7)
    assert read_calibration(workdir, 7) == {}
    assert read_thresholds(workdir, 7) is None
    assert "no images of two classes" in capsys.readouterr().out


def test_scores_have_nothing_to_fit_on_val(tmp_path):
    fit_on_val(Workdir(tmp_path), KINDS["numeric"](), None, 7)
    assert not list(tmp_path.iterdir())
