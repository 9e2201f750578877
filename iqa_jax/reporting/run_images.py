"""Chooses the images that a report shows: mistakes, extremes, the unsure, and doubtful labels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

from input_pipeline.files.images import ImageError
from input_pipeline.tiles.sources import TileSource
from iqa_jax.evaluation.evaluation import Evaluation
from iqa_jax.reporting.pages.pictures import Example, thumbnail
from iqa_jax.reporting.pages.point_map import MOST_DOTS, PHOTO_SIDE
from iqa_jax.reporting.pages.report import Gallery, Projection, Suspect, Suspects, Table
from iqa_jax.reporting.pages.text_tables import write_number

_EXAMPLES = 6
_EXTREMES = 3
_SUSPECTS = 24
_SUSPECT_SIDE = 96

# Gives the heat-maps of an image by what they show: pictures of the whole image, RGB.
Overlays = Callable[[int], Mapping[str, UInt8[np.ndarray, "h w 3"]]]


@dataclass(frozen=True)
class Plane:
    """Where the images of an evaluation are in a plane.

    Attributes:
        title, caption: of the map.
        points: split -> one point per image that was answered, in their order.
        purity: how pure the neighbourhoods are.
    """

    title: str
    caption: str
    points: Mapping[str, Float[np.ndarray, "image 2"]]
    purity: Table | None = None


class ImageChoice:
    """The images of one split that were answered, and how to choose among them.

    Args:
        source: gives the images.
        split: its name.
        evaluation: of the split, with an answer or more.
        table: of its predictions; a column `uncertainty` is used if there is one.
        thresholds: of the three-class answer.
        overlays: gives heat-maps of images, by image_id.
    """

    def __init__(
        self,
        source: TileSource,
        split: str,
        evaluation: Evaluation,
        table: pd.DataFrame,
        thresholds: tuple[float, float] | None,
        overlays: Overlays | None = None,
    ):
        self.kind, self.split = evaluation.kind, split
        self._source, self._thresholds, self._overlays = source, thresholds, overlays
        rows = np.flatnonzero(evaluation.is_answered)
        self._answers = [evaluation.answers[row] for row in rows]
        self._images = evaluation.images.iloc[rows]
        self._table = table.iloc[rows]
        self._values = evaluation.values(evaluation.headline)
        self._scores = self.kind.score_of(self._values)
        self._labels = self._images["label"].to_numpy()

    def mistakes(self) -> Iterator[Gallery]:
        """Chooses the images furthest from their label, of classes only those called another."""
        distance = self.kind.mistakes(self._values, self._labels)
        order = np.argsort(-distance, kind="stable")
        yield from self._gallery(
            "Worst mistakes", "Furthest from their label, worst first.",
            [place for place in order[:_EXAMPLES] if distance[place] > 0],
        )  # fmt: skip

    def extremes(self) -> Iterator[Gallery]:
        """Chooses the lowest and the highest scores, where scores have an order."""
        if not self.kind.has_order:
            return
        order = np.argsort(self._scores, kind="stable")
        yield from self._gallery(
            "Lowest scores", "The images the scorer likes least.", order[:_EXTREMES]
        )
        yield from self._gallery("Highest scores", "Those it likes best.", order[::-1][:_EXTREMES])

    def uncertain(self) -> Iterator[Gallery]:
        """Chooses the images that the scorer is least sure of, if it says how sure it is."""
        if "uncertainty" not in self._table:
            return
        unsure = pd.to_numeric(self._table["uncertainty"], errors="coerce").to_numpy()
        # What is undefined sorts last and is left out.
        order = np.argsort(-unsure, kind="stable")[: np.isfinite(unsure).sum()]
        yield from self._gallery(
            "Most uncertain", "The scorer is least sure of these; a person should look at them.",
            order[:_EXAMPLES],
            [f"uncertainty {write_number(float(unsure[place]))}" for place in order[:_EXAMPLES]],
        )  # fmt: skip

    def suspects(self) -> list[tuple[float, Suspect]]:
        """Finds labels that the scorer finds improbable: how much so, and the image."""
        evidence, rank, found = self.kind.doubts(self._values, self._labels)
        suspects = []
        for place in sorted(found, key=lambda place: rank[place])[:_SUSPECTS]:
            if (image := self._photo(place)) is None:
                continue
            suspect = Suspect(
                name=self._images["name"].iloc[place],
                split=self.split,
                label=self._label(place),
                predicted=self._predicted(place) or write_number(float(self._scores[place])),
                evidence=float(evidence[place]),
                image=thumbnail(image, _SUSPECT_SIDE),
            )
            suspects.append((float(rank[place]), suspect))
        return suspects

    def __len__(self) -> int:
        return len(self._answers)

    def dot(self, place: int) -> tuple[str, float, str, np.ndarray] | None:
        """Gives name, score, class and small photo of an image; None where its file is gone."""
        if (image := self._photo(place)) is None:
            return None
        label = self._label(place) if self.kind.has_classes else ""
        photo = thumbnail(image, PHOTO_SIDE)
        return self._images["name"].iloc[place], float(self._scores[place]), label, photo

    def _photo(self, place: int) -> np.ndarray | None:
        try:
            return self._source.image(self._answers[place].image_id)
        except ImageError:  # It was there a moment ago.
            return None

    def _label(self, place: int) -> str:
        return self.kind.shown_label(self._labels[place], self._images["label_text"].iloc[place])

    def _predicted(self, place: int) -> str:
        return self.kind.label_of(self._values[place], self._thresholds)

    def _gallery(
        self, title: str, caption: str, places: Sequence[int], notes: Sequence[str] = ()
    ) -> Iterator[Gallery]:
        """Shows images; without any there is no gallery."""
        examples = []
        for number, place in enumerate(map(int, places)):
            answer = self._answers[place]
            if (image := self._photo(place)) is None:
                continue
            examples.append(
                Example(
                    name=self._images["name"].iloc[place],
                    image=thumbnail(image),
                    size=(answer.layout.height, answer.layout.width),
                    origins=answer.layout.grid.origins,
                    tile_size=self._source.tiling.size,
                    tile_scores=self.kind.score_of(answer.tile_values),
                    score=float(self._scores[place]),
                    label=self._label(place),
                    predicted=self._predicted(place),
                    maps=self._overlays(answer.image_id) if self._overlays else {},
                    note=notes[number] if notes else "",
                )
            )
        if examples:
            yield Gallery(f"{title}, {self.split}", caption, examples)


def find_suspects(choices: Sequence[ImageChoice]) -> Suspects:
    """Gathers the labels to check over splits, the most improbable first."""
    found = sorted(
        (pair for choice in choices for pair in choice.suspects()), key=lambda pair: pair[0]
    )
    kind = choices[0].kind
    rows = [suspect for _, suspect in found[:_SUSPECTS]]
    ending = (
        f", the first {_SUSPECTS}. " if len(found) > _SUSPECTS else ". "
    ) + "Either may be wrong, the label or the scorer: look at each before changing a label."
    what = f"{kind.doubtful}{ending}" if rows else f"{kind.doubtful}: none."
    return Suspects(what, kind.evidence_name, rows)


def place_images(plane: Plane, choices: Sequence[ImageChoice]) -> Projection:
    """Makes the map of the images: at most `MOST_DOTS` of them, evenly chosen over the splits.

    Raises:
        ValueError: a split has other numbers of points and of images.
    """
    for choice in choices:
        if len(plane.points[choice.split]) != len(choice):
            raise ValueError(
                f"{plane.title}: {len(plane.points[choice.split])} points for the {len(choice)} "
                f"images of {choice.split}."
            )
    everyone = [(choice, place) for choice in choices for place in range(len(choice))]
    drawn = np.linspace(0, len(everyone) - 1, min(len(everyone), MOST_DOTS)).round().astype(int)
    points, dots, splits = [], [], []
    for choice, place in (everyone[number] for number in drawn):
        if (dot := choice.dot(place)) is not None:
            dots.append(dot)
            points.append(plane.points[choice.split][place])
            splits.append(choice.split)
    names, scores, labels, images = zip(*dots, strict=True) if dots else ((), (), (), ())
    return Projection(
        title=plane.title,
        caption=plane.caption,
        points=np.array(points).reshape(-1, 2),
        names=names,
        splits=splits,
        scores=np.array(scores),
        images=images,
        labels=labels if any(labels) else (),
        classes=list(choices[0].kind.label_names),
        n_images=len(everyone),
        purity=plane.purity,
    )
