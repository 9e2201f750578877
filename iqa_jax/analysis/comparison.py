"""Which answer is better than the reference, on the same test images of the same splits."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num, Shaped
from matplotlib.figure import Figure

DRAWS = 1000
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
      low, high: ends of its interval, as `RESAMPLED` says.
    """

    figures: Float[np.ndarray, " split"]
    difference: float
    low: float
    high: float

    @property
    def is_separated(self) -> bool:
        return self.low > 0 or self.high < 0


def compare_members(
    splits: Sequence[SplitAnswers],
    measure: Callable[[np.ndarray, np.ndarray], float | None],
    reference: str,
    *,
    is_lower_better: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Compared]:
    """Compares the members of all splits with one of them.

    Args:
      splits: with the same members each.
      measure: (values, labels) -> the metric, or None where the images do not define it.
      reference: the member the others are compared with.
      is_lower_better: True for errors.
      progress: called with the number of draws done.

    Returns:
      Member -> its figures, in the members' order.

    Raises:
      ValueError: the metric is undefined on a split.

    Source:
      Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3 (percentiles).
    """
    members = list(splits[0].values)
    sign = -1.0 if is_lower_better else 1.0

    def figures_of(split: SplitAnswers, rows: np.ndarray) -> list[float]:
        labels = split.labels[rows]
        figures = [measure(split.values[member][rows], labels) for member in members]
        return [np.nan if figure is None else figure for figure in figures]

    figures = np.array([figures_of(split, np.arange(len(split.labels))) for split in splits])
    for number, row in enumerate(figures):
        if not np.isfinite(row).all():
            lost = members[int(np.flatnonzero(~np.isfinite(row))[0])]
            raise ValueError(
                f"the metric of {lost} is undefined on the test images of split {number}"
            )

    groups = np.unique(np.concatenate([split.groups for split in splits]))
    group_of = [np.searchsorted(groups, split.groups) for split in splits]
    at = members.index(reference)
    rng = np.random.default_rng(0)
    draws = []
    for done in range(DRAWS):
        weight = np.bincount(rng.integers(len(groups), size=len(groups)), minlength=len(groups))
        drawn, times = np.unique(rng.integers(len(splits), size=len(splits)), return_counts=True)
        found = np.array(
            [
                figures_of(splits[k], np.repeat(np.arange(len(group_of[k])), weight[group_of[k]]))
                for k in drawn
            ]
        )
        is_defined = np.isfinite(found).all(axis=1)
        if is_defined.any():
            gain = sign * (found - found[:, [at]])
            draws.append(np.average(gain[is_defined], axis=0, weights=times[is_defined]))
        progress(done + 1)
    low, high = np.quantile(draws, (0.025, 0.975), axis=0)
    difference = (sign * (figures - figures[:, [at]])).mean(axis=0)
    return {
        member: Compared(figures[:, i], float(difference[i]), float(low[i]), float(high[i]))
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
            right.plot((result.low, result.high), (place, place), color=colour, lw=2)
            right.plot(result.difference, place, "o", color=colour)
    left.set_yticks(range(len(compared)), list(compared))
    left.set_ylim(len(compared) - 0.5, -0.5)
    left.set_xlabel(f"test {metric} per split, and its median")
    right.axvline(0, color="black", lw=0.8)
    right.set_xlabel(f"better than {reference} by; orange: separated")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
