"""The report of a run: one HTML file that opens anywhere, without network or scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import numpy as np
from jaxtyping import Float

from iqa_jax.analysis import figures
from iqa_jax.analysis.pictures import Example, draw_picture

_ERROR_ROWS = 200
_TEMPLATES = Path(__file__).parent / "templates"

# The heading of each figure, and what it means for people who meet it for the first time.
_GLOSSARY = {
    "n": ("images", "Images that the figures of the row are computed from."),
    "n_good": ("good images", "Good images among them."),
    "auroc": ("AUROC", "Chance that a good image scores above a bad one; 0.5 is guessing."),
    "auprc": ("AUPRC", "Precision of the answer good, averaged over its recall."),
    "accuracy": ("accuracy", "Share of images given their own class."),
    "balanced_accuracy": (
        "balanced accuracy",
        "Share of a class that is found, averaged over the classes, so that sizes do not matter.",
    ),
    "f1": ("F1", "Harmonic mean of precision and recall of the answer good."),
    "macro_f1": ("macro F1", "Harmonic mean of precision and recall, averaged over the classes."),
    "log_loss": ("log loss", "Mean surprise at the true class, in nats; lower is better."),
    "quadratic_kappa": (
        "quadratic kappa",
        "Agreement beyond chance, where far-off grades cost more; 1 is perfect.",
    ),
    "grade_mae": ("grade error", "Mean distance from the true grade, in grades; lower is better."),
    "srcc": ("SRCC", "Spearman's rank correlation of predicted and given scores."),
    "krcc": ("KRCC", "Kendall's rank correlation (tau-b) of predicted and given scores."),
    "plcc": ("PLCC", "Pearson's correlation of predicted and given scores, nothing fitted."),
    "rmse": ("RMSE", "Root mean squared error, in units of the score; lower is better."),
    "mae": ("MAE", "Mean absolute error, in units of the score; lower is better."),
}


@dataclass(frozen=True)
class Headline:
    """One large figure at the top: what it is, its value (None = undefined), and on what."""

    name: str
    value: float | None
    note: str


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: counts[i][j] images of class i were called class j."""

    title: str
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class ScoreHistogram:
    """Scores of each class of images, and where the thresholds cut them."""

    title: str
    scores: Mapping[str, Float[np.ndarray, " n"]]
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreScatter:
    """Predicted scores against the given ones."""

    title: str
    predictions: Float[np.ndarray, " n"]
    targets: Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Gallery:
    """Examples shown together, such as the worst images, and a sentence on their choice."""

    title: str
    caption: str
    examples: Sequence[Example]


@dataclass(frozen=True)
class FileError:
    """A file that could not be used, and why."""

    path: str
    message: str


@dataclass(frozen=True)
class Report:
    """All that a report shows; an empty part is left out.

    Attributes:
        title: the name of the run.
        command: the command line that repeats it.
        summary: a sentence or two under the title.
        headlines: the figures to see first.
        metrics: split -> fusion -> figures, as in metrics.json; lists are not shown.
        history: one dict per logged step: `step` and any of `<split>/<figure>` or `<figure>`.
        best_step: the step of the kept checkpoint.
        score_range: lowest and highest tile score, the ends of the colour bar.
        audit: the audit of the manifest, as text.
        config: the resolved configuration, as text.
        versions: package -> version.
    """

    title: str
    command: str
    summary: str = ""
    headlines: Sequence[Headline] = ()
    metrics: Mapping[str, Mapping[str, Mapping[str, object]]] = field(default_factory=dict)
    history: Sequence[Mapping[str, float | None]] = ()
    best_step: int | None = None
    confusions: Sequence[Confusion] = ()
    histograms: Sequence[ScoreHistogram] = ()
    scatters: Sequence[ScoreScatter] = ()
    galleries: Sequence[Gallery] = ()
    score_range: tuple[float, float] = (0.0, 1.0)
    audit: str = ""
    errors: Sequence[FileError] = ()
    config: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def write_report(path: Path, report: Report) -> None:
    """Writes the report as one self-contained HTML file.

    Args:
        path: the file to write; its folder must exist.
        report: what to show. Forty examples or so stay below 3 MB.

    Raises:
        ValueError: a confusion matrix or an example contradicts itself.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "heading": _heading}
    page = environment.get_template("report.html.jinja").render(
        report=report,
        tables=[_metric_table(split, rows) for split, rows in report.metrics.items()],
        glossary=_shown_glossary(report.metrics),
        confusions=[_confusion_table(confusion) for confusion in report.confusions],
        curves=figures.draw_curves(report.history, report.best_step),
        histograms=[
            figures.draw_histogram(plot.title, plot.scores, plot.thresholds, report.score_range)
            for plot in report.histograms
        ],
        scatters=[
            figures.draw_scatter(plot.title, plot.predictions, plot.targets)
            for plot in report.scatters
        ],
        galleries=[
            (gallery, [draw_picture(example, report.score_range) for example in gallery.examples])
            for gallery in report.galleries
        ],
        colour_bar=figures.colour_stops(),
        errors=report.errors[:_ERROR_ROWS],
    )
    # File names that are no valid text hold lone surrogates, which UTF-8 refuses.
    Path(path).write_bytes(page.encode("utf-8", errors="backslashreplace"))


def _metric_table(split: str, rows: Mapping[str, Mapping[str, object]]) -> dict:
    names = _scalar_names(rows.values())
    cells = {
        fusion: [figures_.get(name, "") for name in names] for fusion, figures_ in rows.items()
    }
    return {"split": split, "names": names, "rows": cells}


def _scalar_names(rows) -> list[str]:
    found = dict.fromkeys(
        name
        for row in rows
        for name, value in row.items()
        if value is None or isinstance(value, (int, float))
    )
    return list(found)


def _shown_glossary(metrics: Mapping) -> dict[str, str]:
    shown = _scalar_names(row for rows in metrics.values() for row in rows.values())
    return {name: _GLOSSARY[name][1] for name in shown if name in _GLOSSARY}


def _confusion_table(confusion: Confusion) -> dict:
    counts = np.asarray(confusion.counts)
    n_classes = len(confusion.classes)
    if counts.shape != (n_classes, n_classes):
        raise ValueError(
            f"The confusion matrix {confusion.title!r} is {counts.shape}, but there are"
            f" {n_classes} classes."
        )
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [
        (name, list(zip(counts[i].tolist(), share[i].tolist(), strict=True)))
        for i, name in enumerate(confusion.classes)
    ]
    return {"title": confusion.title, "classes": confusion.classes, "rows": rows}


def _number(value) -> str:
    if value is None:
        return "undefined"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:.4g}"
    return str(value)


def _heading(name: str) -> str:
    heading = _GLOSSARY[name][0] if name in _GLOSSARY else name.replace("_", " ")
    return heading[:1].upper() + heading[1:]
