"""Figures of the founding questions: answers beside opinion scores, with paired intervals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from benchmarks.founding_rows import GRADES, Rows
from iqa_jax.analysis.comparison import SplitAnswers, compare_members
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.analysis.late_fusion import fit_thresholds, three_class
from iqa_jax.analysis.weighted_metrics import (
    Measure,
    binary_measures,
    decision_measures,
    score_measures,
)

MEANINGS = {
    "srcc": "rank correlation of the score with MOS",
    "three_classes": "balanced accuracy of bad, marginal, good",
    "auroc": "AUROC, lower against upper third",
}


class Answers(NamedTuple):
    """What one run says of the images of `val` and of `test`: scores on [0, 1]."""

    val: Float[np.ndarray, " image"]
    test: Float[np.ndarray, " image"]


def scores_of(kind: str, values: Float[np.ndarray, "image values"]) -> np.ndarray:
    """Gives the score of each image on [0, 1]: P(good), the expected grade, or the score."""
    return KINDS[kind]().score_of(np.asarray(values, np.float64)).clip(0, 1)


def call_grades(rows: Rows, answers: Answers) -> Int[np.ndarray, " image"]:
    """Calls the tested images bad, marginal or good, by two thresholds fitted on `val`."""
    truth = rows.grades(rows.split("val")["mos"].to_numpy())
    return three_class(answers.test, *fit_thresholds(answers.val, truth))


def measures(rows: Rows) -> dict[str, Callable[[np.ndarray, np.ndarray], Measure]]:
    """Gives what is measured of answers [image, 2], score and grade, against MOS, by name."""

    def auroc(values, mos):
        grades = rows.grades(mos)
        is_outer = grades != 1
        measure = binary_measures(values[is_outer, 0], grades[is_outer] // 2)["auroc"]
        return lambda weights: measure(weights[is_outer])

    def three_classes(values, mos):
        called, grades = values[:, 1].astype(int), rows.grades(mos)
        return decision_measures(called, grades, len(GRADES), is_ordered=True)["balanced_accuracy"]

    return {
        "srcc": lambda values, mos: score_measures(values[:, 0], mos)["srcc"],
        "three_classes": three_classes,
        "auroc": auroc,
    }


def compare(
    rows: Rows, draws: Sequence[Mapping[str, Answers]], reference: str
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measures every member on every draw and sets it against the reference, image by image.

    Args:
        rows: the photographs.
        draws: of each draw of training images, member -> answers.
        reference: the member the others are compared with.

    Returns:
        Member -> figure -> `per_draw`, `mean`, `difference` to the reference, and the 95 %
        `interval` of that, as `analysis.comparison` says.
    """
    test, found = rows.split("test"), {}
    splits = [
        SplitAnswers(
            {
                member: np.stack([one.test, call_grades(rows, one)], axis=1)
                for member, one in draw.items()
            },
            test["mos"].to_numpy(),
            test["group"].to_numpy(),
        )
        for draw in draws
    ]
    for name, measure in measures(rows).items():
        for member, one in compare_members(splits, measure, reference).items():
            found.setdefault(member, {})[name] = {
                "per_draw": [round(float(value), 4) for value in one.figures],
                "mean": round(float(one.figures.mean()), 4),
                "difference": round(one.difference, 4),
                "interval": one.interval and [round(end, 4) for end in one.interval],
            }
    return found


def format_comparison(found: Mapping[str, Any], reference: str, figure: str) -> str:
    """Writes the table of one figure: a row per member, a column per number of images.

    Args:
        found: column -> as `compare` gives it.
        reference: the member the others are compared with.
        figure: of `MEANINGS`.
    """
    columns = list(found)
    lines = [f"| {MEANINGS[figure]} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1)]
    lines[1] += "|"
    for member in dict.fromkeys(name for column in found.values() for name in column):
        cells = []
        for column in columns:
            one = found[column].get(member)
            cells.append("" if one is None else _cell(one[figure], member == reference))
        lines.append(f"| {member} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(one: Mapping[str, Any], is_reference: bool) -> str:
    text = _short(one["mean"])
    if is_reference:
        return text
    interval = one["interval"]
    ends = f" [{_short(interval[0], True)}, {_short(interval[1], True)}]" if interval else ""
    return f"{text} ({_short(one['difference'], True)}{ends})"


def _short(value: float, is_signed: bool = False) -> str:
    text = f"{value:+.3f}" if is_signed else f"{value:.3f}"
    return text.replace("0.", ".", 1)
