"""Which answer is better than the reference, on the same test images of the same splits."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num, Shaped
from matplotlib.figure import Figure

from iqa_jax.analysis.bootstrap import DRAWS, Interval, draw_split_means, percentile_interval
from iqa_jax.analysis.weighted_metrics import Measure

RESAMPLED = (
    f"95 % percentile interval of {DRAWS} bootstrap draws of the mean paired difference over "
    "splits. Each draw takes splits with replacement, and groups (images, where a manifest has no "
    "groups) with replacement: the same groups for every split and every fusion, so that an image "
    "tested in several splits is not taken for several images. A split whose drawn images leave "
    "the metric undefined sits out that draw. Nothing is trained again, and that splits share "
    "training images is not corrected for."
)


@dataclasses.dataclass(frozen=True)
class SplitAnswers:
    """What every member answers for the test images of one split.

    Attributes:
        values: member -> [image, values].
        labels: [image].
        groups: [image], names.
    """

    values: Mapping[str, Float[np.ndarray, "image values"]]
    labels: Num[np.ndarray, " image"]
    groups: Shaped[np.ndarray, " image"]


@dataclasses.dataclass(frozen=True)
class Compared:
    """The figures of one member.

    Attributes:
        figures: the metric per split.
        difference: mean over splits to the reference; above 0 is better, whatever the metric.
        interval: of the difference, as `RESAMPLED` says; None where one group alone, or draws that
            leave the metric undefined, allow none.
    """

    figures: Float[np.ndarray, " split"]
    difference: float
    interval: Interval

    @property
    def is_separated(self) -> bool:
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def compare_members(
    splits: Sequence[SplitAnswers],
    measure: Callable[[np.ndarray, np.ndarray], Measure],
    reference: str,
    *,
    is_lower_better: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Compared]:
    """Compares the members of all splits with one of them.

    Args:
        splits: with the same members each.
        measure: (values, labels) -> the metric of these rows, for any weighting of them.
        reference: the member the others are compared with.
        is_lower_better: True for errors.
        progress: called with the number of draws done.

    Returns:
        Member -> its figures, in the members' order.

    Raises:
        ValueError: the metric is undefined on a split.
    """
    members = list(splits[0].values)
    sign = -1.0 if is_lower_better else 1.0
    measures = [
        [measure(split.values[member], split.labels) for member in members] for split in splits
    ]
    figures = np.array(
        [
            [measured(np.ones((len(split.labels), 1)))[0] for measured in row]
            for split, row in zip(splits, measures, strict=True)
        ]
    )
    for number, row in enumerate(figures):
        if not np.isfinite(row).all():
            lost = members[int(np.flatnonzero(~np.isfinite(row))[0])]
            raise ValueError(
                f"the metric of {lost} is undefined on the test images of split {number}"
            )

    at = members.index(reference)
    draws = draw_split_means(measures, [split.groups for split in splits], progress=progress)
    difference = (sign * (figures - figures[:, [at]])).mean(axis=0)
    return {
        member: Compared(
            figures[:, i],
            float(difference[i]),
            percentile_interval(sign * (draws[i] - draws[at])),
        )
        for i, member in enumerate(members)
    }


def draw_comparison(
    path: Path, compared: Mapping[str, Compared], reference: str, metric: str
) -> None:
    """Draws every split's figure, and the differences with their intervals, as a PNG."""
    figure = Figure(figsize=(9, 1.2 + 0.4 * len(compared)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for place, (member, result) in enumerate(compared.items()):
        colour = "#d55e00" if result.is_separated else "#2f8fd3"
        left.plot(result.figures, [place] * len(result.figures), "o", color="#8a8f98", alpha=0.6)
        left.plot(np.median(result.figures), place, "|", color="black", ms=16, mew=2)
        if member != reference:
            if result.interval:
                right.plot(result.interval, (place, place), color=colour, lw=2)
            right.plot(result.difference, place, "o", color=colour)
    left.set_yticks(range(len(compared)), list(compared))
    left.set_ylim(len(compared) - 0.5, -0.5)
    left.set_xlabel(f"test {metric} per split, and its median")
    right.axvline(0, color="black", lw=0.8)
    right.set_xlabel(f"better than {reference} by\n(orange: separated)")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
