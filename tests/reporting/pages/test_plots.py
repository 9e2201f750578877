"""Plots say in words what they draw, hold no name of a user, and are the same file again."""

import numpy as np
import pytest

from iqa_jax.reporting.pages.colours import SERIES
from iqa_jax.reporting.pages.plots import (
    draw_curves,
    draw_histogram,
    draw_reliability,
    draw_risk_coverage,
    draw_scatter,
)
from iqa_jax.reporting.pages.report import (
    Reliability,
    ReliabilityCurve,
    RiskCoverage,
    ScoreScatter,
)

NAME = "<b>evil</b>"
HISTORY = [
    {"step": 10, "auroc": None, "loss": 0.7, "val/auroc": 0.6},
    {"step": 20, "loss": float("nan"), "val/auroc": 0.8, f"{NAME}/auroc": 0.5},
    {"step": 30, "loss": 0.3},
]
ALL = {
    "curves": lambda: draw_curves(HISTORY, 20)[1],
    "histogram": lambda: draw_histogram(
        "Scores", {NAME: np.array([0.1, 0.2, 0.9])}, {NAME: 0.5}, (0, 1)
    ),
    "scatter": lambda: draw_scatter(
        ScoreScatter("Agreement", np.arange(5.0), np.arange(5.0), np.eye(2), NAME)
    ),
    "reliability": lambda: draw_reliability(
        Reliability(
            "Calibration",
            [
                ReliabilityCurve(
                    NAME, np.array([0.6, 0.9]), np.array([0.5, 1.0]), np.array([4, 6]), 0.08
                ),
            ],
        )  # fmt: skip
    ),
    "coverage": lambda: draw_risk_coverage(
        RiskCoverage("Risk", np.array([0.25, 0.75, 1.0]), np.array([0.0, 0.2, 0.4]), NAME, 0.15)
    ),
}


@pytest.mark.parametrize("draw", ALL.values(), ids=ALL)
def test_a_drawing_is_repeatable_takes_the_pages_ink_and_no_name(draw):
    drawing = draw()
    assert drawing.svg == draw().svg and drawing.svg.startswith("<svg")
    assert "currentColor" in drawing.svg and "evil" not in drawing.svg
    assert "#123456" not in drawing.svg and ' id="axes' not in drawing.svg
    assert any(NAME in entry.name for entry in drawing.legend)


def test_the_loss_comes_first_and_gaps_are_left_out():
    loss, auroc = draw_curves(HISTORY, 20)
    assert (loss.title, auroc.title) == ("loss", "auroc")
    assert loss.description == "loss: from 0.7 at step 10 to 0.3 at step 30."
    assert auroc.description.startswith("auroc: val from 0.6 at step 10 to 0.8 at step 20; ")
    assert [entry.name for entry in auroc.legend] == ["val", NAME, "kept: step 20"]
    assert [entry.name for entry in loss.legend] == ["kept: step 20"]
    assert draw_curves([], None) == []


def test_a_histogram_counts_and_names_its_median():
    drawing = draw_histogram("Scores", {"bad": np.array([0.1, 0.2, 7.0]), "good": np.zeros(0)},
                             {"low": 0.25}, (0, 1))  # fmt: skip
    assert drawing.description == "Scores: 3 bad with median 0.200; low 0.250."
    assert [(entry.name, entry.line) for entry in drawing.legend] == [
        ("bad (3)", "solid"), ("good (0)", "solid"), ("low 0.250", "dashed"),
    ]  # fmt: skip
    assert drawing.legend[0].colour == SERIES[0]


def test_risk_is_told_at_half_and_at_all():
    drawing = ALL["coverage"]()
    # Half lies in the middle between a quarter and three quarters.
    assert drawing.description == (
        f"Risk: {NAME} 0.100 with half of the images answered, 0.400 with all, area 0.150."
    )


def test_reliability_tells_every_bin():
    assert ALL["reliability"]().description == (
        f"Calibration: {NAME}, ECE 0.080: share right 0.50 at 0.60, 1.00 at 0.90."
    )
