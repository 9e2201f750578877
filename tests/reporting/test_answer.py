"""The first lines of a report say its figure in words, and what to do next."""

from pathlib import Path

import pytest

from iqa_jax.analysis.kinds import KINDS
from iqa_jax.reporting.answer import answer
from iqa_jax.reporting.reported_run import ReportedRun


def lines(name, metric, figures, *, split="test", has_warnings=False, n_suspects=0, groups=40):
    kind = KINDS[name](
        classes=("bad", "good") if name in ("binary", "ordered", "unordered") else (),
        maximum=100.0 if name == "numeric" else 1.0,
    )
    run = ReportedRun(kind, "vote", metric, "auroc", "{}")
    values, ends = figures
    about = {"fusion": "vote", "fusions": {"vote": values}, "n": 90, "groups": groups}
    metrics = {split: about | {"intervals": ends}}
    return dict(answer(run, Path("my runs/a"), [split], metrics, has_warnings, n_suspects))


@pytest.mark.parametrize(
    ("kind", "metric", "values", "ends", "said"),
    [
        (
            "binary", "auroc", {"auroc": 0.962}, {"auroc": [0.93, 0.984]},
            "Of a good and a bad image it gives the good one the higher score 96 times in 100 "
            "(95 % interval: 93 to 98).",
        ),
        (
            # Kendall's tau is the share of pairs in the right order less that of the others:
            # .86 is 93 to 7.
            "numeric", "srcc", {"srcc": 0.97, "krcc": 0.86}, {"krcc": [0.8, 0.9]},
            "Of two images that people judge differently it names the better one 93 times in 100 "
            "(95 % interval: 90 to 95).",
        ),
        (
            "ranking", "pair_accuracy", {"pair_accuracy": 0.997}, {},
            "Of two images it names the better one more than 99 times in 100.",
        ),
        (
            "ordered", "quadratic_kappa", {"quadratic_kappa": 0.9, "accuracy": 1.0}, {},
            "It gives an image its right grade 100 times in 100.",
        ),
        (
            "binary", "knn_auroc", {"auroc": 0.5}, {"auroc": [None, None]},
            "Of a good and a bad image it gives the good one the higher score 50 times in 100.",
        ),
    ],
)  # fmt: skip
def test_a_figure_is_said_in_cases_of_100(kind, metric, values, ends, said):
    how_good = lines(kind, metric, (values, ends))["How good it is"]
    assert how_good == f"{said} Measured on 90 images of 40 groups, the split test."


def test_a_figure_that_is_not_there_is_not_made_up():
    how_good = lines("binary", "auroc", ({"auroc": None}, None))["How good it is"]
    assert how_good == "That cannot be told from the images of test: see the figures below."


def test_images_that_chose_or_trained_are_named_as_such():
    figures = ({"auroc": 0.9}, None)
    found = lines("binary", "auroc", figures, split="val")
    assert found["How good it is"].endswith("a little worse.")
    assert "iqa-jax evaluate --workdir='my runs/a' --manifest" in found["What to do next"]
    found = lines("binary", "auroc", figures, split="train")
    assert found["How good it is"].endswith("which it was trained on: on other images it is worse.")


def test_what_to_do_next_follows_from_what_is_there():
    figures = ({"auroc": 0.9}, None)
    score = "Score new images: iqa-jax FOLDER --workdir='my runs/a'."
    assert lines("binary", "auroc", figures)["What to do next"] == score
    found = lines("binary", "auroc", figures, has_warnings=True, n_suspects=2, groups=3)
    next_steps = found["What to do next"]
    assert next_steps.startswith("Read the warnings below") and next_steps.endswith(score)
    assert "3 groups are few" in next_steps and "labels to check below" in next_steps


def test_what_it_is_for_is_what_the_kind_of_its_labels_says():
    found = lines("binary", "auroc", ({"auroc": 0.9}, None))
    assert found["What it is for"].startswith("Tells bad photographs from good ones")
