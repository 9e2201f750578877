"""What every label kind says of its answers: one class a kind, one object a run."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Num, Shaped

from iqa_jax.analysis.metrics import Metrics
from iqa_jax.analysis.weighted_metrics import Measure


class Doubts(NamedTuple):
    """The images whose given label an answer speaks against.

    Attributes:
        evidence: of every image, as `Kind.evidence_name` calls it.
        rank: of every image, the most doubtful label lowest.
        places: of the images that are to be looked at.
    """

    evidence: Float[np.ndarray, " image"]
    rank: Float[np.ndarray, " image"]
    places: Int[np.ndarray, " doubtful"]


@dataclass(frozen=True, kw_only=True)
class Kind(abc.ABC):
    """What the answers to one kind of labels mean; made with what the labels of a run mean.

    Values of an answer are probabilities per class, lowest quality first, or one score. Scores are
    "higher is better" everywhere but in tables for people, where they are `written`.

    Attributes:
        column: name of the label column.
        classes: lowest quality first; empty where answers are scores.
        marginal: name of the third, middle class of binary labels.
        minimum, maximum: of scores. Those of pairs may leave them.
        higher_is_better: the direction of the label column. One in which lower is better (such as
            DMOS) was mirrored on reading, and is mirrored back where answers are written.

    Attributes of the class:
        name: of the kind.
        asks: which of the attributes above say what its labels mean.
        metrics: figures that a checkpoint may be chosen by, the headline one first.
        late_fusions: image-level answers besides the network's own.
        has_classes: answers are probabilities per class, not one score.
        has_order: a score says which of two images is better.
        has_scale: labels are opinion scores on a declared scale.
        is_graded: classes are grades.
        is_of_pairs: an image alone has no label; which of two is better is learnt.
        makes_versions: those pairs are degraded versions of clean photographs.
        is_undefined_on_one_label: the headline figure says nothing of images of one label.
        promised: columns of what conformal prediction promises of an image.
        evidence_name, doubtful: what `Doubts` has as evidence, and of which images.
    """

    column: str = ""
    classes: tuple[str, ...] = ()
    marginal: str = ""
    minimum: float = 0.0
    maximum: float = 1.0
    higher_is_better: bool = True

    name: ClassVar[str]
    asks: ClassVar[tuple[str, ...]]
    metrics: ClassVar[tuple[str, ...]]
    late_fusions: ClassVar[tuple[str, ...]]
    has_classes: ClassVar[bool] = False
    has_order: ClassVar[bool] = True
    has_scale: ClassVar[bool] = False
    is_graded: ClassVar[bool] = False
    is_of_pairs: ClassVar[bool] = False
    makes_versions: ClassVar[bool] = False
    is_undefined_on_one_label: ClassVar[bool] = False
    promised: ClassVar[tuple[str, ...]] = ()
    evidence_name: ClassVar[str] = ""
    doubtful: ClassVar[str] = ""

    @property
    def score_range(self) -> tuple[float, float]:
        """The ends of a colour bar of scores."""
        return self.minimum, self.maximum

    @property
    def label_names(self) -> tuple[str, ...]:
        """Every class that an image may have, lowest quality first."""
        return self.classes

    @property
    @abc.abstractmethod
    def purpose(self) -> str:
        """What a scorer of this kind is for: a sentence or two of its model card."""

    @abc.abstractmethod
    def score_of(self, values: Float[np.ndarray, "*image values"]) -> Float[np.ndarray, "*image"]:
        """Gives one number per image, higher is better wherever the labels have an order."""

    def written_score(
        self, values: Float[np.ndarray, "*image values"]
    ) -> Float[np.ndarray, "*image"]:
        """Gives the score as tables of answers have it: in the direction of the label column."""
        return np.asarray(self.score_of(values))

    @abc.abstractmethod
    def label_of(
        self, values: Float[np.ndarray, " values"], thresholds: tuple[float, float] | None = None
    ) -> str:
        """Names the class of one image; empty where answers are scores.

        Args:
            values: of the image.
            thresholds: where on P(good) the marginal class begins and ends; None for the answer
                without it.
        """

    def probabilities(self, values: Float[np.ndarray, " values"]) -> dict[str, float]:
        """Gives the columns `p_<class>` of one image; none where answers are scores."""
        return {}

    def shown_label(self, label: float | np.number, text: str) -> str:
        """Writes the label of an image beside its score.

        Args:
            label: as it was read.
            text: as the manifest has it.
        """
        return text

    def is_labelled(self, labels: Num[np.ndarray, " image"]) -> Bool[np.ndarray, " image"]:
        """Tells which images have a label of the kind: marginal ones have no binary label."""
        return labels >= 0

    def count_labels(
        self, labels: Num[np.ndarray, " image"], texts: Shaped[np.ndarray, " image"]
    ) -> dict[str, float]:
        """Sums the labels of a split up as the manifest has them: heading -> figure.

        Args:
            labels: as they were read.
            texts: as the manifest has them.
        """
        return {}

    def read_table(
        self, table: pd.DataFrame
    ) -> tuple[Float[np.ndarray, "image values"], Num[np.ndarray, " image"]]:
        """Reads values and labels back from a table of predictions, which is text.

        Raises:
            TypeError: images of this kind have no labels.
        """
        raise TypeError(f"{self.name} has no labels of images")

    @abc.abstractmethod
    def figures(
        self,
        values: Float[np.ndarray, "image values"],
        labels: Num[np.ndarray, " image"],
        *,
        std: Float[np.ndarray, " image"] | None = None,
        pairs: pd.DataFrame | None = None,
    ) -> Metrics:
        """Computes the plain figures over images.

        Args:
            values: of the images.
            labels: class indices, -1 for images without (they count in no figure), or scores.
            std: of opinion scores, the standard deviation of the opinions of each image.
            pairs: where pairs are compared: `better` and `worse`, places among the images, and the
                `figure` that each pair counts in.
        """

    @abc.abstractmethod
    def measures(
        self,
        values: Float[np.ndarray, "image values"],
        labels: Num[np.ndarray, " image"],
        *,
        mapped: Float[np.ndarray, " image"] | None = None,
        std: Float[np.ndarray, " image"] | None = None,
        pairs: pd.DataFrame | None = None,
    ) -> dict[str, Measure]:
        """Gives the weighted measures of the same figures, for the bootstrap.

        Args:
            values, labels, std, pairs: as in `figures`.
            mapped: of opinion scores, predictions after a map that was fitted on other images.
        """

    @abc.abstractmethod
    def uncertainty(
        self,
        values: Float[np.ndarray, " values"],
        samples: Float[np.ndarray, "pass values"] | None,
        views: Float[np.ndarray, "view values"] | None,
    ) -> float | None:
        """Gives how unsure the answer of one image is, None where that cannot be told.

        Args:
            values: the answer.
            samples: answers of dropout passes, if there are any.
            views: answers to looks at the image.
        """

    def disagreement(self, samples: Float[np.ndarray, "pass values"] | None) -> float | None:
        """Gives the part of the uncertainty that the passes disagree on; classes alone have it."""
        return None

    def conformal_scores(
        self,
        values: Float[np.ndarray, "image values"],
        labels: Num[np.ndarray, " image"],
        widths: Float[np.ndarray, " image"],
    ) -> Float[np.ndarray, " image"]:
        """Gives how badly each answer fits its label, for `conformal_quantile`.

        Args:
            values, labels: of labelled images.
            widths: what the interval of each image is proportional to.
        """
        return np.zeros(0)

    def promise(
        self, values: Float[np.ndarray, " values"], quantile: float, width: float
    ) -> dict[str, Any]:
        """Gives the columns of `promised` for one image, as they are written."""
        return {}

    def holds_label(
        self,
        values: Float[np.ndarray, "image values"],
        labels: Num[np.ndarray, " image"],
        quantile: float,
        widths: Float[np.ndarray, " image"],
    ) -> Bool[np.ndarray, " image"]:
        """Tells of labelled images whether what was promised of them is true."""
        return np.zeros(0, bool)

    def promise_figures(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
        """Gives what a figure is the mean of, by its name, from rows with `promised` columns."""
        return {}

    def mistakes(
        self, values: Float[np.ndarray, "image values"], labels: Num[np.ndarray, " image"]
    ) -> Float[np.ndarray, " image"]:
        """Gives how far each image is from its label; 0 where it is no mistake."""
        return np.zeros(len(values))

    def doubts(
        self, values: Float[np.ndarray, "image values"], labels: Num[np.ndarray, " image"]
    ) -> Doubts:
        """Finds the labels that the answers speak against."""
        nothing = np.zeros(len(values))
        return Doubts(nothing, nothing, np.zeros(0, int))
