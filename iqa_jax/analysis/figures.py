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
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Stands for "the colour of the text around" until the SVG is written.
_INK = "#123456"
# After Okabe & Ito 2008: told apart by colour-blind readers, mid-tone to show on both grounds.
_SERIES = ("#d55e00", "#8a8f98", "#2f8fd3", "#009e73", "#cc79a7", "#a88400")
_DASHES = ("dashed", "dotted")
_SCORE_MAP = matplotlib.colormaps["RdYlBu"]
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
        The plots in the order in which the figures first appear.
    """
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in history:
        for key, value in row.items():
            if key == "step" or value is None or not np.isfinite(value):
                continue
            split, _, figure = key.rpartition("/")
            panels.setdefault(figure, {}).setdefault(split, []).append((row["step"], value))
    splits = dict.fromkeys(split for lines in panels.values() for split in lines)
    colours = {split: _SERIES[(2 + i) % len(_SERIES)] for i, split in enumerate(splits)}
    return [_draw_panel(figure, lines, colours, best_step) for figure, lines in panels.items()]


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
        colour = _SERIES[i % len(_SERIES)]
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


def draw_scatter(
    title: str, predictions: Float[np.ndarray, " n"], targets: Float[np.ndarray, " n"]
) -> Drawing:
    """Draws predicted against given scores, with the line where they agree.

    Args:
        title: the heading.
        predictions: predicted scores.
        targets: given scores, on the same scale.

    Returns:
        The plot.
    """
    axes = _axes("given score", "predicted score")
    axes.set_aspect("equal")
    axes.axline((0, 0), slope=1, color=_INK, linewidth=0.9, linestyle="dashed", alpha=0.6)
    # As pixels the size of the report does not grow with the number of images.
    axes.scatter(targets, predictions, s=9, alpha=0.5, color=_SERIES[2], lw=0, rasterized=True)
    description = f"{title}: predicted against given scores of {len(targets)} images."
    legend = [LegendEntry("exact agreement", "currentColor", "dashed")]
    return Drawing(title, description, _svg(axes, description), legend)


def score_colours(scores: Float[np.ndarray, " n"], score_range: tuple[float, float]) -> list[str]:
    """Colours scores from red (worst) over yellow to blue (best), safe for colour-blind readers.

    Args:
        scores: scores, taken as the nearest end where they are off the scale.
        score_range: the ends of the scale.

    Returns:
        One `#rrggbb` per score.
    """
    shares = Normalize(*score_range, clip=True)(np.asarray(scores, dtype=float))
    return [to_hex(_SCORE_MAP(share)) for share in shares]


def colour_stops() -> list[str]:
    """Lists the colours of the score scale from worst to best, evenly spaced."""
    return score_colours(np.linspace(0, 1, 9), (0, 1))


def _axes(x_label: str, y_label: str = ""):
    with matplotlib.rc_context(_STYLE):
        axes = Figure(figsize=(3.7, 2.4), layout="constrained").add_subplot()
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
