"""Maps predicted scores onto the scale of opinion scores, before PLCC and RMSE.

Fitted on training rows and applied to others; a map fitted on the rows it is scored on flatters.
"""

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares
from scipy.special import expit

# Kind of map -> its number of parameters.
LOGISTICS = {"logistic_4": 4, "logistic_5": 5}
_START_SCALES = (0.25, 1.0, 4.0)
_EVALUATIONS = 2000


@dataclasses.dataclass(frozen=True)
class ScoreMap:
    """A fitted map of predictions.

    Attributes:
        kind: `logistic_4`: (β1−β2)/(1+e^{−(x−β3)/|β4|})+β2; `logistic_5`:
            β1(½−1/(1+e^{β2(x−β3)}))+β4·x+β5; `linear`: β1·x+β2.
        parameters: β1, β2, …
        note: why it is not the map that was asked for, in a sentence; empty if it is.
        rows: how many it was fitted on.
    """

    kind: str
    parameters: tuple[float, ...]
    note: str = ""
    rows: int = 0

    def __call__(self, predictions: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Maps predictions to the scale of the labels."""
        return _evaluate(self.kind, self.parameters, np.asarray(predictions, np.float64))


def fit_score_map(
    predictions: Float[np.ndarray, " n"],
    targets: Float[np.ndarray, " n"],
    kind: str = "logistic_4",
) -> ScoreMap:
    """Fits a rising logistic map by least squares, or a straight line where there is none.

    The best of several starts is taken. A map that falls anywhere between the lowest and the
    highest prediction is refused: it would turn a scorer that runs the wrong way into a good one.
    The straight line never falls either; at worst it is the mean label, whose PLCC is undefined.

    Args:
        predictions: of training rows, higher is better.
        targets: their labels, higher is better.
        kind: `logistic_4` or `logistic_5`.

    Raises:
        ValueError: there are no rows, a value is not finite, or the kind is unknown.

    Source:
        VQEG 2000, "Final report ... on the validation of objective models", for four parameters;
        Sheikh, Sabir and Bovik 2006, "A Statistical Evaluation of Recent Full Reference Image
        Quality Assessment Algorithms", equation 2, for five.
    """
    if kind not in LOGISTICS:
        raise ValueError(f"the map {kind!r} is not one of {', '.join(LOGISTICS)}")
    x, y = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"a map cannot be fitted on {x.shape} predictions and {y.shape} labels")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a prediction or a label that a map is fitted on is not finite")
    line = _fit_line(x, y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return _line_because(line, "the predictions or the labels are all the same", len(x))
    distinct, needed = len(np.unique(x)), LOGISTICS[kind]
    if distinct <= needed:
        reason = f"{distinct} different predictions do not fix {needed} parameters"
        return _line_because(line, reason, len(x))
    # Of mean 0 and variance 1, so that starts and steps suit any scale.
    x_mean, x_scale, y_mean, y_scale = x.mean(), x.std(), y.mean(), y.std()
    u, v = (x - x_mean) / x_scale, (y - y_mean) / y_scale
    fits = [_fit(kind, start, u, v) for start in _starts(kind, v)]
    rising = [fit for fit in fits if fit is not None and _is_rising(kind, fit[1], u)]
    if not rising:
        return _line_because(line, "no rising logistic map was found", len(x))
    loss, parameters = min(rising, key=lambda fit: fit[0])
    line_loss = ((line[0] * x + line[1] - y) ** 2).sum() / y_scale**2
    if loss > line_loss * (1 - 1e-9):
        return _line_because(line, "no logistic map is better than a straight line", len(x))
    scale = _unscale_4 if kind == "logistic_4" else _unscale_5
    found = scale(parameters, x_mean, x_scale, y_mean, y_scale)
    return ScoreMap(kind, tuple(float(value) for value in found), rows=len(x))


def _evaluate(kind: str, parameters, x: np.ndarray) -> np.ndarray:
    if kind == "linear":
        slope, level = parameters
        return slope * x + level
    if kind == "logistic_4":
        top, bottom, middle, width = parameters
        return (top - bottom) * expit((x - middle) / max(abs(width), 1e-12)) + bottom
    height, steepness, middle, slope, level = parameters
    # ½ − 1/(1+e^z) = expit(z) − ½, which does not overflow.
    return height * (expit(steepness * (x - middle)) - 0.5) + slope * x + level


def _fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    variance = x.var()
    slope = max(((x - x.mean()) * (y - y.mean())).mean() / variance, 0.0) if variance else 0.0
    return float(slope), float(y.mean() - slope * x.mean())


def _line_because(line: tuple[float, float], note: str, rows: int) -> ScoreMap:
    return ScoreMap("linear", line, f"{note}: a straight line is used instead", rows)


def _starts(kind: str, v: np.ndarray):
    for scale in _START_SCALES:
        for middle in (-0.5, 0.0, 0.5):
            if kind == "logistic_4":
                yield v.max(), v.min(), middle, scale
            else:
                yield np.ptp(v), 1 / scale, middle, 0.0, 0.0


def _fit(kind: str, start, u: np.ndarray, v: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Fits from one start; gives the sum of squares and the parameters."""
    try:
        found = least_squares(
            lambda parameters: _evaluate(kind, parameters, u) - v,
            start,
            method="lm",
            max_nfev=_EVALUATIONS,
        )
    except ValueError:  # A step led where the map is not finite.
        return None
    return 2 * found.cost, found.x


def _is_rising(kind: str, parameters: np.ndarray, u: np.ndarray) -> bool:
    steps = np.diff(_evaluate(kind, parameters, np.linspace(u.min(), u.max(), 200)))
    return bool(steps.sum() > 0 and steps.min() >= -1e-9)


def _unscale_4(parameters, x_mean, x_scale, y_mean, y_scale):
    top, bottom, middle, width = parameters
    return (
        y_mean + y_scale * top,
        y_mean + y_scale * bottom,
        x_mean + x_scale * middle,
        x_scale * abs(width),
    )


def _unscale_5(parameters, x_mean, x_scale, y_mean, y_scale):
    height, steepness, middle, slope, level = parameters
    slope = slope * y_scale / x_scale
    return (
        height * y_scale,
        steepness / x_scale,
        x_mean + x_scale * middle,
        slope,
        y_mean + y_scale * level - slope * x_mean,
    )
