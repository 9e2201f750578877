"""Plots of the report as SVG that takes the page's own text colour, light or dark.

The drawings hold lines and numbers only. Every word that comes from a user (a class, a split)
goes into the legend, which the page writes as text.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iqa_jax.reporting.pages.colours import SERIES
from iqa_jax.reporting.pages.report import Reliability, RiskCoverage, ScoreScatter

# Stands for "the colour of the text around" until the SVG is written.
_INK = "#123456"
_DASHES = ("dashed", "dotted")
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _INK,
    "grid.alpha": 0.12,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


@dataclass(frozen=True)
class LegendEntry:
    """A name in the legend and how it is drawn: solid, dashed or dotted."""

    name: str
    colour: str
    line: str = "solid"


@dataclass(frozen=True)
class Drawing:
    """A plot: its title, what it shows in words, the SVG, and its legend."""

    title: str
    description: str
    svg: str
    legend: Sequence[LegendEntry] = ()


def draw_curves(
    history: Sequence[Mapping[str, float | None]], best_step: int | None
) -> list[Drawing]:
    """Draws one plot per figure, with one line for each split that has it.

    Args:
        history: one dict per logged step: `step` and any of `<split>/<figure>` or `<figure>`.
            None and values that are not finite leave a line out at that step.
        best_step: the step to mark, if any.

    Returns:
        The plots: the loss, then figures in the order in which they first appear.
    """
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in history:
        for key, value in row.items():
            if key == "step" or value is None or not np.isfinite(value):
                continue
            split, _, figure = key.rpartition("/")
            panels.setdefault(figure, {}).setdefault(split, []).append((row["step"], value))
    splits = dict.fromkeys(split for lines in panels.values() for split in lines)
    colours = {split: SERIES[(2 + i) % len(SERIES)] for i, split in enumerate(splits)}
    figures = sorted(panels, key=lambda figure: figure != "loss")
    return [_draw_panel(figure, panels[figure], colours, best_step) for figure in figures]


def _draw_panel(
    figure: str, lines: Mapping, colours: Mapping[str, str], best_step: int | None
) -> Drawing:
    axes = _axes("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.ticklabel_format(axis="y", scilimits=(-3, 4))
    legend, parts = [], []
    for split, points in lines.items():
        colour = colours[split]
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, color=colour, linewidth=1.6, marker="o", markersize=2.2)
        if split or len(lines) > 1:
            legend.append(LegendEntry(split or figure, colour))
        parts.append(
            f"{split} from {values[0]:.4g} at step {steps[0]} to {values[-1]:.4g}"
            f" at step {steps[-1]}".strip()
        )
    if best_step is not None:
        axes.axvline(best_step, color=_INK, linewidth=0.9, linestyle="dashed", alpha=0.6)
        legend.append(LegendEntry(f"kept: step {best_step}", "currentColor", "dashed"))
    description = f"{figure}: {'; '.join(parts)}."
    return Drawing(figure, description, _svg(axes, description), legend)


def draw_histogram(
    title: str,
    scores: Mapping[str, Float[np.ndarray, " n"]],
    thresholds: Mapping[str, float],
    score_range: tuple[float, float],
) -> Drawing:
    """Draws how the scores of each class spread over the scale, and the thresholds.

    Args:
        title: the heading.
        scores: class -> scores of its images; scores off the scale count in the end bars.
        thresholds: name -> score.
        score_range: the ends of the scale.

    Returns:
        The plot.
    """
    axes = _axes("score", "images")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    edges = np.linspace(*score_range, 21)
    legend, parts = [], []
    for i, (name, values) in enumerate(scores.items()):
        colour = SERIES[i % len(SERIES)]
        counts, _ = np.histogram(np.clip(values, *score_range), edges)
        axes.stairs(counts, edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(counts, edges, color=colour, linewidth=1.4)
        legend.append(LegendEntry(f"{name} ({len(values)})", colour))
        if len(values):
            parts.append(f"{len(values)} {name} with median {np.median(values):.3f}")
    for i, (name, value) in enumerate(thresholds.items()):
        line = _DASHES[i % len(_DASHES)]
        axes.axvline(value, color=_INK, linewidth=1.1, linestyle=line)
        legend.append(LegendEntry(f"{name} {value:.3f}", "currentColor", line))
        parts.append(f"{name} {value:.3f}")
    axes.set_xlim(*score_range)
    description = f"{title}: {'; '.join(parts)}."
    return Drawing(title, description, _svg(axes, description), legend)


def draw_scatter(scatter: ScoreScatter) -> Drawing:
    """Draws given against predicted scores, the line where they agree, and the fitted curve.

    Args:
        scatter: the scores.

    Returns:
        The plot.
    """
    axes = _axes("predicted score", "given score", height=3.0)
    axes.set_aspect("equal")
    axes.axline((0, 0), slope=1, color=_INK, linewidth=0.9, linestyle="dashed", alpha=0.6)
    # As pixels the size of the report does not grow with the number of images.
    axes.scatter(
        scatter.predictions, scatter.targets, s=9, alpha=0.5, color=SERIES[2], lw=0, rasterized=True
    )
    legend = [LegendEntry("exact agreement", "currentColor", "dashed")]
    count = len(scatter.targets)
    description = f"{scatter.title}: given against predicted scores of {count} images"
    if scatter.mapping is not None:
        axes.plot(*np.transpose(scatter.mapping), color=SERIES[0], linewidth=1.6)
        legend.append(LegendEntry(scatter.mapping_name, SERIES[0]))
        description += f", with the {scatter.mapping_name}"
    description += "."
    return Drawing(scatter.title, description, _svg(axes, description), legend)


def draw_reliability(reliability: Reliability) -> Drawing:
    """Draws how often answers of one confidence are right, and below how many there are.

    Args:
        reliability: the curves; the last is the one that the answers are given with.

    Returns:
        The plot.
    """
    axes = _axes("confidence", "images", height=3.3, n_rows=2, height_ratios=(3, 1))
    upper = axes.figure.axes[0]
    upper.set_ylabel("share that is right")
    upper.plot([0, 1], [0, 1], color=_INK, linewidth=0.9, linestyle="dashed", alpha=0.6)
    legend = [LegendEntry("confidence as it should be", "currentColor", "dashed")]
    parts = []
    lowest = min((min(curve.confidence, default=1.0) for curve in reliability.curves), default=0.0)
    left = 0.5 if lowest >= 0.5 else 0.0
    for number, curve in enumerate(reliability.curves):
        # The last in blue, what came before it in grey.
        colour = SERIES[2] if number == len(reliability.curves) - 1 else SERIES[1]
        upper.plot(curve.confidence, curve.accuracy, color=colour, linewidth=1.6)
        share = np.asarray(curve.count) / max(np.sum(curve.count), 1)
        upper.scatter(curve.confidence, curve.accuracy, s=12 + 120 * share, color=colour, lw=0)
        width = 0.018 * (1 - left)
        shift = (number - (len(reliability.curves) - 1) / 2) * width
        axes.bar(np.asarray(curve.confidence) + shift, curve.count, width, color=colour)
        error = "" if curve.ece is None else f", ECE {curve.ece:.3f}"
        legend.append(LegendEntry(f"{curve.name}{error}", colour))
        bins = ", ".join(
            f"{accuracy:.2f} at {confidence:.2f}"
            for confidence, accuracy in zip(curve.confidence, curve.accuracy, strict=True)
        )
        parts.append(f"{curve.name}{error}: share right {bins}")
    for part in (upper, axes):
        part.set_xlim(left, 1.02)
    upper.tick_params(labelbottom=False)
    upper.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    description = f"{reliability.title}: {'; '.join(parts)}."
    return Drawing(reliability.title, description, _svg(axes, description), legend)


def draw_risk_coverage(risk_coverage: RiskCoverage) -> Drawing:
    """Draws what it costs to answer more images, the surest first.

    Args:
        risk_coverage: the curve.

    Returns:
        The plot.
    """
    coverage = np.asarray(risk_coverage.coverage)
    risk = np.asarray(risk_coverage.risk)
    axes = _axes("share of images answered", "risk")
    axes.plot(coverage, risk, color=SERIES[2], linewidth=1.6)
    axes.fill_between(coverage, risk, color=SERIES[2], alpha=0.15, linewidth=0)
    axes.axhline(risk[-1], color=_INK, linewidth=0.9, linestyle="dashed", alpha=0.6)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(bottom=0)
    area = "" if risk_coverage.area is None else f", area {risk_coverage.area:.3f}"
    legend = [
        LegendEntry(f"{risk_coverage.risk_name}, surest first{area}", SERIES[2]),
        LegendEntry(f"all answered: {risk[-1]:.3f}", "currentColor", "dashed"),
    ]
    half = np.interp(0.5, coverage, risk)
    description = (
        f"{risk_coverage.title}: {risk_coverage.risk_name} {half:.3f} with half of the images"
        f" answered, {risk[-1]:.3f} with all{area}."
    )
    return Drawing(risk_coverage.title, description, _svg(axes, description), legend)


def _axes(
    x_label: str,
    y_label: str = "",
    height: float = 2.4,
    n_rows: int = 1,
    height_ratios: Sequence[float] | None = None,
):
    """Makes axes, of several rows the lowest."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(3.7, height), layout="constrained")
        axes = figure.subplots(n_rows, squeeze=False, height_ratios=height_ratios)[-1, 0]
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return axes


def _svg(axes, salt: str) -> str:
    buffer = io.StringIO()
    unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # The salt keeps the identifiers of two drawings on one page apart, and the file repeatable.
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": salt}):
        axes.figure.savefig(buffer, format="svg", transparent=True, dpi=150, metadata=unsaid)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    # Names such as axes_1 return in every drawing, and nothing refers to them.
    return re.sub(r' id="[A-Za-z0-9]+(?:\.[a-z]+)?_\d+"', "", svg)
