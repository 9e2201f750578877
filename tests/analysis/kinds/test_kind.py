"""What holds of every label kind, and that the tables that name kinds name the same ones."""

import ast
import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from input_pipeline.tables.labels import LABEL_KINDS, LabelSpec
from iqa_jax.analysis.kinds import KINDS, fusions_for
from iqa_jax.analysis.late_fusion import LATE_FUSIONS
from iqa_jax.analysis.metric_table import FIGURES
from iqa_jax.evaluation.evaluation import measure_answers
from iqa_jax.learning.tasks import TASKS
from iqa_jax.run.config import headline_metric, kind_from_config
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.confidence import Confidence, confidence_settings_from_config
from iqa_jax.scoring.tables.rows import answer_row

PAIRS = pd.DataFrame(
    {"better": [0, 1], "worse": 2, "figure": ["pair_accuracy", "unseen_pair_accuracy"]}
)


def answers(kind, rows: int = 12):
    """Gives a kind with three classes, or two, and values and labels."""
    rng = np.random.default_rng(0)
    if not kind.has_classes:
        return kind(minimum=0.0, maximum=1.0), rng.uniform(size=(rows, 1)), rng.uniform(size=rows)
    classes = ("a", "b") if kind.name == "binary" else ("a", "b", "c")
    values = rng.dirichlet(np.ones(len(classes)), rows)
    return kind(classes=classes), values, np.arange(rows) % len(classes)


def test_every_kind_can_be_read_trained_and_answered():
    assert set(KINDS) == set(TASKS) == set(LABEL_KINDS)
    for name, kind in KINDS.items():
        assert kind.name == name
        fields = {field.name for field in dataclasses.fields(LabelSpec)}
        assert set(kind.asks) <= fields & {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_figures_and_measures_are_those_of_the_metric_table(kind):
    made, values, labels = answers(kind)
    figures = made.figures(values, labels, std=labels, pairs=PAIRS)
    measures = made.measures(values, labels, std=labels, pairs=PAIRS)
    assert set(kind.metrics) <= measures.keys() <= figures.keys()
    assert measures.keys() <= FIGURES.keys()
    for name, measure in measures.items():
        once = measure(np.ones((len(values), 1)))[0]
        assert once == pytest.approx(figures[name], rel=1e-12, abs=1e-15), name


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_answer_becomes_a_row(kind):
    made, values, labels = answers(kind)
    assert made.score_of(values).shape == (len(values),)
    row = made.promise(values[0], 0.5, 1.0)
    assert tuple(row) == kind.promised
    assert len(made.promise_figures([row])) == bool(kind.promised)
    assert (made.label_of(values[0]) in made.classes) == kind.has_classes
    assert set(kind.late_fusions) <= set(LATE_FUSIONS)
    low, high = made.score_range
    assert ((low <= made.score_of(values)) & (made.score_of(values) <= high)).all()
    assert made.purpose.endswith(".")


class Stars(KINDS["numeric"]):
    """Stars: what a score says is rounded, and a checkpoint is chosen by its error."""

    name, metrics = "stars", ("mae", "srcc")

    def label_of(self, values, thresholds=None):
        return "*" * round(float(self.score_of(values)))


def test_a_new_kind_answers_without_a_change_elsewhere(tiny_config, monkeypatch):
    monkeypatch.setitem(KINDS, "stars", Stars)
    tiny_config.data.label_kind, tiny_config.early_stopping.metric = "stars", ""
    tiny_config.data.minimum, tiny_config.data.maximum = 1.0, 5.0
    tiny_config.evaluation.fusion = "mean_score"
    assert headline_metric(tiny_config) == "mae"
    assert fusions_for("stars", "attention") == ("mean_score", "attention")
    answers = [
        Answered(number, {"mean_score": np.array([score])}, np.zeros((1, 1)), np.ones(1), None)
        for number, score in enumerate((2.2, 4.9))
    ]
    settings = confidence_settings_from_config(tiny_config)
    row = answer_row(settings, answers[1], None, Confidence(quantile=0.5))
    assert row["predicted"] == "*****" and row["lower"] == pytest.approx(4.4)
    images = pd.DataFrame({"label": [2.0, 4.5]})
    found = measure_answers(
        answers, images, None, kind=kind_from_config(tiny_config), headline="mean_score"
    )
    assert found.metrics["mae"] == pytest.approx(0.3)


def test_no_file_compares_a_kind_with_its_name():
    """What differs between kinds is said by `Kind`, or by `LabelSpec` where labels are read."""
    root, found = Path(__file__).parents[3], []
    for folder in ("iqa_jax", "input_pipeline"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Compare):
                    texts = [
                        part.value for part in ast.walk(node) if isinstance(part, ast.Constant)
                    ]
                    if set(LABEL_KINDS) & {text for text in texts if isinstance(text, str)}:
                        found.append(f"{path.relative_to(root)}:{node.lineno}")
    assert {place.split(":")[0] for place in found} == {"input_pipeline/tables/labels.py"}, found


def test_a_score_is_written_in_the_direction_of_its_label():
    values = np.array([[20.0], [70.0]])
    numeric = partial(KINDS["numeric"], minimum=0, maximum=100)
    assert numeric(higher_is_better=False).written_score(values).tolist() == [80, 30]
    assert numeric().written_score(values).tolist() == [20, 70]
    good = np.array([[0.2, 0.8]])
    assert KINDS["binary"](higher_is_better=False).written_score(good).tolist() == [0.8]
