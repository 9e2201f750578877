"""The map that makes class probabilities mean what they say, without changing any order.

A classifier's probabilities may be too sure, too shy, or shifted: the mean of smoothed tile scores
hardly reaches a half for the best image. A temperature mends the first two alone; a slope and
biases, fitted on images that trained nothing, mend all three.

Two classes, or several without an order: p' is proportional to exp(bias_c) · p_c ** slope. For two
classes this is Platt scaling of the logit, and P(good) rises with the raw P(good).

Classes in an order: the score, which is the expected grade, must keep its order too. No map of the
classes one by one does that, so P(grade > j) is read off the score s alone, as the logistic of
slope · logit s + bias_j, whose expected grade rises with s, and is mixed with the raw
probabilities. The expected grade of both, and of the mix, rises with that of the raw
probabilities, while the labels may follow either.

Source:
    Platt 1999, "Probabilistic outputs for support vector machines"; Guo et al. 2017, section 4.2,
    with one slope (several classes); McCullagh 1980, "Regression models for ordinal data", section
    2 (grades).
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit, softmax

# Below what float32 keeps of a probability next to 1.
LEAST_PROBABILITY = 1e-7
# So flat a slope says nothing any more, but still rises.
_LEAST_SLOPE = 1e-3
# The raw probabilities keep this share at least: it moves no probability by more than a thousandth,
# and where the fitted part is 1 to the last bit, it still tells the better image.
_LEAST_RAW_SHARE = 1e-3
# What the raw answers weigh in a fit: so many images per parameter.
_PRIOR_IMAGES = 4


@dataclasses.dataclass(frozen=True)
class CalibrationMap:
    """Maps the probabilities of one fusion.

    Attributes:
        slope: above 0.
        biases: one per class, summing to 0; or one per step between grades, never rising.
        share: of the fitted part beside the raw probabilities, in [0, 1).
        is_ordered: whether the classes are grades, lowest quality first.
        images: how many it was fitted on.
    """

    slope: float
    biases: tuple[float, ...]
    share: float
    is_ordered: bool
    images: int

    def __call__(
        self, probabilities: Float[np.ndarray, "*image k"]
    ) -> Float[np.ndarray, "*image k"]:
        """Maps raw probabilities, lowest quality first; each row sums to 1 before and after."""
        raw = np.asarray(probabilities, np.float64)
        biases = np.array(self.biases)
        if self.is_ordered:
            fitted = _grades_of_score(_logit_of_score(raw), self.slope, biases)
        else:
            fitted = softmax(self.slope * _logarithms(raw) + biases, axis=-1)
        return (1 - self.share) * raw + self.share * fitted


def fit_calibration_map(
    probabilities: Float[np.ndarray, "image k"], labels: Int[np.ndarray, " image"], is_ordered: bool
) -> CalibrationMap | None:
    """Fits the map by penalised likelihood, on images that no figure of its answers is given on.

    Few images must not change much. So beside each label its raw probabilities count as one, too,
    all together as much as four images per parameter: as if so many more had been seen, and the raw
    answers were right of them. That draws the map to the identity, and bounds it where the classes
    are told apart without a mistake.

    Args:
        probabilities: raw ones, lowest quality first.
        labels: class indices in [0, k).
        is_ordered: whether the classes are grades.

    Returns:
        The map; None where the images are of fewer than two classes, which any sureness would fit.

    Source:
        Huang, Stein, Rubin, Kou 2020, "Catalytic prior distributions with application to
        generalized linear models", with the identity as the simpler model and its expectation in
        place of draws. The weight is from simulated answers (`test_calibration_map`): with one
        image per parameter, maps of up to six images did more harm than good; with four, those
        of three did about none, and those of thirty and more were as good.
    """
    if len(np.unique(labels)) < 2:
        return None
    raw = np.asarray(probabilities, np.float64)
    fit = _fit_grades if is_ordered else _fit_classes
    slope, biases, share = fit(raw, np.eye(raw.shape[1])[labels])
    return CalibrationMap(float(slope), tuple(biases.tolist()), share, is_ordered, len(labels))


def _fit_classes(raw: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray, float]:
    n, k = raw.shape
    logarithms, targets = _logarithms(raw), _targets(raw, truth, k)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        logs = log_softmax(parameters[0] * logarithms + parameters[1:], axis=-1)
        excess = targets.sum(axis=1, keepdims=True) * np.exp(logs) - targets
        gradient = np.concatenate([[(excess * logarithms).sum()], excess.sum(axis=0)])
        return -(targets * logs).sum() / n, gradient / n

    start, bounds = np.array([1.0, *np.zeros(k)]), [(_LEAST_SLOPE, None)] + [(None, None)] * k
    slope, *biases = _minimise(loss, start, bounds, jac=True)
    return slope, np.array(biases) - np.mean(biases), 1 - _LEAST_RAW_SHARE


def _fit_grades(raw: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray, float]:
    n, k = raw.shape
    logits, targets = _logit_of_score(raw), _targets(raw, truth, k + 1)

    def read(parameters: np.ndarray) -> tuple[float, np.ndarray, float]:
        slope, first, *falls, share = parameters
        return slope, first - np.cumsum([0, *falls]), float(share)

    def loss(parameters: np.ndarray) -> float:
        slope, biases, share = read(parameters)
        mixed = (1 - share) * raw + share * _grades_of_score(logits, slope, biases)
        return -(targets * np.log(np.maximum(mixed, LEAST_PROBABILITY))).sum() / n

    most = 1 - _LEAST_RAW_SHARE
    start = np.array([1.0, 1.0, *np.ones(k - 2), most])
    bounds = [(_LEAST_SLOPE, None), (None, None)] + [(0, None)] * (k - 2)
    # The fitted part alone first: beside it, a poor start would only lose its share.
    start = _minimise(loss, start, [*bounds, (most, most)])
    return read(_minimise(loss, start, [*bounds, (0, most)]))


def _targets(raw: np.ndarray, truth: np.ndarray, parameters: int) -> np.ndarray:
    return truth + _PRIOR_IMAGES * parameters / len(raw) * raw


def _minimise(loss, start: np.ndarray, bounds: list, jac: bool = False) -> np.ndarray:
    options = {"maxiter": 2000, "maxfun": 100_000, "ftol": 1e-11, "gtol": 1e-7}
    return minimize(loss, start, method="L-BFGS-B", jac=jac, bounds=bounds, options=options).x


def _logarithms(raw: np.ndarray) -> np.ndarray:
    """Gives log p of every class."""
    if raw.shape[-1] == 2:
        # The rounding of the other one must not order images that have the same P(good).
        raw = np.stack([1 - raw[..., 1], raw[..., 1]], axis=-1)
    return np.log(np.clip(raw, LEAST_PROBABILITY, 1))


def _logit_of_score(raw: np.ndarray) -> np.ndarray:
    """Gives the logit of the expected grade on [0, 1]."""
    score = raw @ np.linspace(0, 1, raw.shape[-1])
    return np.asarray(logit(np.clip(score, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)))


def _grades_of_score(logit_of_score: np.ndarray, slope: float, biases: np.ndarray) -> np.ndarray:
    is_above = expit(slope * logit_of_score[..., None] + biases)
    ends = [(0, 0)] * logit_of_score.ndim
    return np.pad(is_above, [*ends, (1, 0)], constant_values=1) - np.pad(is_above, [*ends, (0, 1)])
