"""Images as dots of a plane, each with its photo, coloured by class, split or score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from iqa_jax.reporting.pages.colours import score_colours, series_colours
from iqa_jax.reporting.pages.pictures import photo_uri
from iqa_jax.reporting.pages.report import Projection
from iqa_jax.reporting.pages.text_tables import TextTable, text_table, write_number

# More dots hide one another, and each carries its photo: 2.5 kB.
MOST_DOTS = 600
PHOTO_SIDE = 80
# Empty rim of the plane, in percent, so that no dot is cut.
_RIM = 3.0


@dataclass(frozen=True)
class Dot:
    """An image in the plane.

    Attributes:
        x, y: percent from the left and from the top.
        about: its class, split and score, as the page says them.
        colours: colouring -> `#rrggbb`.
        photo: data URI.
    """

    x: float
    y: float
    name: str
    about: str
    colours: Mapping[str, str]
    photo: str


@dataclass(frozen=True)
class PointMap:
    """A projection ready for the page.

    Attributes:
        title, caption: of the projection.
        dots: from left to right, as arrow keys walk.
        legends: colouring -> name -> colour; the score's is the colour bar.
        n_images: how many there are, drawn or not.
        purity: of the neighbourhoods.
    """

    title: str
    caption: str
    dots: Sequence[Dot]
    legends: Mapping[str, Mapping[str, str]]
    n_images: int
    purity: TextTable | None


def draw_points(projection: Projection, score_range: tuple[float, float]) -> PointMap:
    """Lays the dots of a projection out.

    Args:
        projection: the images, best at most `MOST_DOTS`.
        score_range: the ends of the score's colours.

    Raises:
        ValueError: its lists have different lengths, or a point is nowhere.
    """
    points = np.asarray(projection.points, dtype=float)
    n_images = len(points)
    lists = (projection.names, projection.splits, projection.scores, projection.images)
    if {len(part) for part in (*lists, projection.labels or points)} - {n_images}:
        raise ValueError(f"{projection.title}: {n_images} points, but other numbers of images.")
    if not np.isfinite(points).all():
        raise ValueError(f"{projection.title}: a point is not finite.")
    # Without points, as where every file is gone, there is nothing to place either.
    low, high = points.min(axis=0, initial=np.inf), points.max(axis=0, initial=-np.inf)
    places = (points - low) / np.where(high > low, high - low, 1) * (100 - 2 * _RIM) + _RIM

    labels = projection.labels or [""] * n_images
    legends = {"split": series_colours([*dict.fromkeys(projection.splits)])}
    if projection.labels:
        legends = {"class": series_colours(_in_order(projection)), **legends}
    tints = score_colours(projection.scores, score_range)
    dots = []
    for i in np.argsort(points[:, 0], kind="stable"):
        own = {"class": labels[i], "split": projection.splits[i]}
        colours = {name: legend[own[name]] for name, legend in legends.items()}
        score = f"score {write_number(float(projection.scores[i]))}"
        about = [part for part in (labels[i], projection.splits[i], score) if part]
        dots.append(
            Dot(
                x=round(float(places[i, 0]), 2),
                y=round(float(100 - places[i, 1]), 2),
                name=projection.names[i],
                about=" · ".join(about),
                colours={**colours, "score": tints[i]},
                photo=photo_uri(projection.images[i], PHOTO_SIDE),
            )
        )
    purity = text_table(projection.purity) if projection.purity else None
    n_images = max(n_images, projection.n_images)
    return PointMap(projection.title, projection.caption, dots, legends, n_images, purity)


def _in_order(projection: Projection) -> list[str]:
    found = dict.fromkeys(projection.labels)
    return [*(name for name in projection.classes if name in found)] + [
        name for name in found if name not in projection.classes
    ]
