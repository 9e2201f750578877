"""Deletion and insertion: does the answer change when the relevant pixels do?

Pixels of an image are replaced by those of a baseline, the most relevant first. If a map is right,
the answer follows at once, and the area under the curve says how fast.

The baseline decides what the curve means. In object recognition it is a blurred or grey image, for
that removes the object. Here blur and flat areas are defects themselves: "deleting" the noisy part
of a bad photograph by blurring it leaves a bad photograph. To delete a defect is to have the
undegraded pixels in its place, so the baseline here is the photograph before a region of it was
degraded, which planted degradations have. Outside the region the two are equal, so only pixels of
the region can change the answer, and a map gains nothing by pointing elsewhere.

Source:
    Petsiuk, Das, Saenko 2018, RISE, for the two curves; the baseline is ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

Photo = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Curve:
    """How an answer changes as pixels are replaced.

    Attributes:
        shares: of the pixels that are replaced, from 0 to 1.
        answers: at each share.
    """

    shares: Float[np.ndarray, " step"]
    answers: Float[np.ndarray, " step"]

    @property
    def area(self) -> float:
        """The mean answer over the curve, by the trapezoidal rule."""
        return float(np.trapezoid(self.answers, self.shares))


def replacement_curve(
    image: Photo,
    baseline: Photo,
    relevance: Float[np.ndarray, "height width"],
    answer: Callable[[Sequence[Photo]], Float[np.ndarray, " n"]],
    *,
    steps: int,
    side: int,
    rng: np.random.Generator,
) -> Curve:
    """Replaces pixels of an image by those of a baseline, the most relevant first.

    With the degraded image and the undegraded baseline it is the deletion curve, and the answer
    "how bad" should fall at once. With the two swapped it is the insertion curve, and it should
    rise at once. A map that is the same everywhere gives the random order to compare with.

    Args:
        image: to begin with.
        baseline: to end with.
        relevance: higher goes first; NaN goes last.
        answer: gives one number for each of some images.
        steps: replacements, each of the same number of pixels.
        side, rng: for ties; see `rank_pixels`.
    """
    order = rank_pixels(relevance, side, rng)
    shares = np.linspace(0, 1, steps + 1)
    images = []
    for share in shares:
        is_replaced = order < round(share * order.size)
        images.append(np.where(is_replaced[..., None], baseline, image))
    return Curve(shares, np.asarray(answer(images), np.float64))


def rank_pixels(
    relevance: Float[np.ndarray, "height width"], side: int, rng: np.random.Generator
) -> Int[np.ndarray, "height width"]:
    """Numbers pixels from 0, the most relevant, on.

    Pixels that tie go square by square in random order. Single pixels in random order would mix
    the two images to a noise that is in neither, which a judge of quality sees at once.

    Args:
        relevance: higher goes first; NaN goes last.
        side: of a square in pixels, as large as the cells of the maps to be judged.
        rng: for the order of squares, and of the pixels in one.
    """
    height, width = relevance.shape
    squares = rng.random((-(-height // side), -(-width // side)))
    squares = np.kron(squares, np.ones((side, side)))[:height, :width].ravel()
    known = np.where(np.isnan(relevance), -np.inf, relevance).ravel()
    order = np.lexsort((rng.random(known.size), squares, -known))
    ranks = np.empty(known.size, np.int64)
    ranks[order] = np.arange(known.size)
    return ranks.reshape(height, width)
