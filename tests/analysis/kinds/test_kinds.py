"""What holds of every label kind, and that the tables that name kinds name the same ones."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from input_pipeline.tables.labels import LABEL_KINDS, LabelSpec
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.analysis.late_fusion import LATE_FUSIONS
from iqa_jax.analysis.metric_table import FIGURES, LOWER_IS_BETTER
from iqa_jax.learning.tasks import TASKS

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


def test_errors_are_better_where_they_are_lower():
    assert set(LOWER_IS_BETTER) == {
        "log_loss", "ece", "grade_mae", "rmse", "mae", "rmse_mapped", "outlier_ratio",
    }  # fmt: skip
    assert FIGURES["mae"].meaning.endswith("; lower is better.")
    assert FIGURES["srcc"].meaning.endswith("given scores.")
    assert all(not figure.means.endswith(".") for figure in FIGURES.values())
