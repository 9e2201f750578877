"""What a report is made of: plain values, so that whoever has a part fills it in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, UInt8

from iqa_jax.reporting.pages.pictures import Example


@dataclass(frozen=True)
class Headline:
    """One large figure at the top.

    Attributes:
        name: of the figure, as in metrics.json.
        split: it is of.
        value: None where the rows do not define it.
        note: what it is over.
        interval: its lowest and highest plausible value.
    """

    name: str
    split: str
    value: float | None
    note: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Table:
    """A table of names and figures: its first column is text, and None is "undefined"."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
    caption: str = ""


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: counts[i][j] images of class i were called class j."""

    title: str
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class ReliabilityCurve:
    """How often answers of one confidence are right.

    Attributes:
        name: such as "before calibration".
        confidence: mean confidence of the answers of each bin that has any, in [0, 1].
        accuracy: share of them that is right.
        count: how many they are.
        ece: expected calibration error.
    """

    name: str
    confidence: Float[np.ndarray, " bin"]
    accuracy: Float[np.ndarray, " bin"]
    count: Int[np.ndarray, " bin"]
    ece: float | None = None


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: one curve, or those before and after calibration."""

    title: str
    curves: Sequence[ReliabilityCurve]


@dataclass(frozen=True)
class ScoreHistogram:
    """Scores of each class of images, and where the thresholds cut them."""

    title: str
    scores: Mapping[str, Float[np.ndarray, " n"]]
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreScatter:
    """Predicted scores against the given ones.

    Attributes:
        title: the heading.
        predictions: predicted scores.
        targets: given ones, on the same scale.
        mapping: [point, 2] predictions in rising order and what the fitted curve makes of them.
        mapping_name: what the curve is and on which rows it was fitted.
    """

    title: str
    predictions: Float[np.ndarray, " n"]
    targets: Float[np.ndarray, " n"]
    mapping: Float[np.ndarray, "point 2"] | None = None
    mapping_name: str = "fitted curve"


@dataclass(frozen=True)
class RiskCoverage:
    """What answering only the surest images would cost.

    Attributes:
        title: the heading.
        coverage: share of the images that is answered, rising.
        risk: mean loss of these.
        risk_name: what the loss is, such as "error rate".
        area: below the curve.
    """

    title: str
    coverage: Float[np.ndarray, " n"]
    risk: Float[np.ndarray, " n"]
    risk_name: str = "risk"
    area: float | None = None


@dataclass(frozen=True)
class Gallery:
    """Examples shown together, such as the worst mistakes, and a sentence on their choice."""

    title: str
    caption: str
    examples: Sequence[Example]


@dataclass(frozen=True)
class Suspect:
    """An image whose label may be wrong.

    Attributes:
        name, split, label: of the image.
        predicted: what the scorer says instead.
        evidence: how improbable the label is, in the unit of `Suspects.measure`.
        image: to show it, small.
    """

    name: str
    split: str
    label: str
    predicted: str
    evidence: float
    image: UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Suspects:
    """Images whose labels to look at, the most suspicious first.

    Attributes:
        caption: how they were chosen, in a sentence.
        measure: the heading of their `evidence`.
        rows: the images.
    """

    caption: str
    measure: str
    rows: Sequence[Suspect]


@dataclass(frozen=True)
class Projection:
    """Images as points of a plane in which the network's neighbours stay neighbours.

    Attributes:
        title: such as "t-SNE of the image embeddings".
        caption: what it was made from.
        points: [image, 2], of the images that are drawn.
        names, splits: of the images.
        scores: higher is better.
        images: to be shown small, as large as they come.
        labels: class names of the images; empty where labels are numbers.
        classes: the order of these names, which decides their colours.
        n_images: how many there are, drawn or not.
        purity: how pure neighbourhoods are; shown beside the points.
    """

    title: str
    caption: str
    points: Float[np.ndarray, "image 2"]
    names: Sequence[str]
    splits: Sequence[str]
    scores: Float[np.ndarray, " image"]
    images: Sequence[UInt8[np.ndarray, "height width 3"]]
    labels: Sequence[str] = ()
    classes: Sequence[str] = ()
    n_images: int = 0
    purity: Table | None = None


@dataclass(frozen=True)
class FileError:
    """A file that could not be used, and why."""

    path: str
    message: str


# The parts of a report that are tables alone, and the headings of their sections.
TABLE_SECTIONS = {"rankings": "Rankings", "localisation": "Localisation"}


@dataclass(frozen=True)
class Report:
    """All that a report shows; an empty part is left out.

    Attributes:
        title: the name of the run.
        command: the command line that repeats it.
        summary: a sentence or two under the title.
        answer: headings and sentences to read first: what the figures come to.
        headlines: the figures to see first.
        warnings: what must be known before a figure is believed.
        metrics: split -> fusion -> figures, as in metrics.json; only single ones are shown.
        three_class: split -> the figures of the answer with a marginal class between two.
        headline_fusion: the one whose figures are compared over the splits.
        intervals: split -> figure -> its interval, of the headline fusion.
        three_class_intervals: the same of the answer with three classes.
        interval_note: what an interval is.
        history: one dict per logged step: `step` and any of `<split>/<figure>` or `<figure>`.
        best_step: the step of the kept checkpoint.
        mistakes, uncertain: galleries of them.
        extremes: galleries of the lowest and highest scores.
        score_range: lowest and highest score, the ends of the colour bar.
        rankings: how many pairs of images are in the right order, by what tells them apart.
        localisation: how well maps find regions that are known to be bad.
        audit: the audit of the manifest, as text.
        config: the resolved configuration, as text.
        versions: package -> version.
    """

    title: str
    command: str
    summary: str = ""
    answer: Sequence[tuple[str, str]] = ()
    headlines: Sequence[Headline] = ()
    warnings: Sequence[str] = ()
    metrics: Mapping[str, Mapping[str, Mapping[str, object]]] = field(default_factory=dict)
    three_class: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    headline_fusion: str = ""
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    three_class_intervals: Mapping[str, Mapping[str, tuple[float, float]]] = field(
        default_factory=dict
    )
    interval_note: str = ""
    history: Sequence[Mapping[str, float | None]] = ()
    best_step: int | None = None
    confusions: Sequence[Confusion] = ()
    reliabilities: Sequence[Reliability] = ()
    histograms: Sequence[ScoreHistogram] = ()
    scatters: Sequence[ScoreScatter] = ()
    coverages: Sequence[RiskCoverage] = ()
    mistakes: Sequence[Gallery] = ()
    extremes: Sequence[Gallery] = ()
    uncertain: Sequence[Gallery] = ()
    suspects: Suspects | None = None
    projections: Sequence[Projection] = ()
    score_range: tuple[float, float] = (0.0, 1.0)
    rankings: Sequence[Table] = ()
    localisation: Sequence[Table] = ()
    audit: str = ""
    errors: Sequence[FileError] = ()
    config: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
