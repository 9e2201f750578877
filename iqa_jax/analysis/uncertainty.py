"""How unsure an answer is: from its probabilities, dropout samples or views.

Entropies are in nats. What several samples agree on to the last bit has a mutual information and a
spread of exactly 0: means are taken of differences to the first sample. One image has its figure as
an array without axes, of which NumPy would make a scalar.

Source:
    Houlsby et al. 2011 (BALD); Gal, Ghahramani 2016 (dropout at prediction); both as written out by
    Gal, Islam, Ghahramani 2017, equations 2 to 4.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import entr


def entropy(probabilities: Float[np.ndarray, "*batch k"]) -> Float[np.ndarray, "*batch"]:
    """Gives H[p], from 0 to log k."""
    return np.asarray(entr(probabilities.astype(np.float64)).sum(axis=-1))


def predictive_entropy(
    samples: Float[np.ndarray, "sample *batch k"],
) -> Float[np.ndarray, "*batch"]:
    """Gives H[mean of the samples' probabilities]: all that is unsure."""
    return entropy(_mean(samples))


def expected_entropy(samples: Float[np.ndarray, "sample *batch k"]) -> Float[np.ndarray, "*batch"]:
    """Gives the mean of H[p] over samples: what stays unsure whatever the weights."""
    return _mean(entropy(samples))


def mutual_information(
    samples: Float[np.ndarray, "sample *batch k"],
) -> Float[np.ndarray, "*batch"]:
    """Gives BALD, predictive minus expected entropy: what the weights disagree on; 0 or more."""
    # By Jensen's inequality; below it is rounding.
    return np.asarray(np.maximum(predictive_entropy(samples) - expected_entropy(samples), 0))


def spread(scores: Float[np.ndarray, " sample *batch"]) -> Float[np.ndarray, "*batch"]:
    """Gives the standard deviation over samples or views (divided by their number)."""
    scores = scores.astype(np.float64)
    return np.asarray((scores - scores[:1]).std(axis=0))


def _mean(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    return np.asarray(values[0] + (values - values[:1]).mean(axis=0))
