"""Regression of opinion scores on features of whole pictures, its strength chosen inside."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from iqa_jax.studies.baselines.rows import Answers, Baseline, Predict, Rows
from iqa_jax.training.training_error import TrainingError

_FOLDS = 5


class Regressor(NamedTuple):
    """A regressor, and what is chosen of it.

    Attributes:
        make: gives a new one.
        grid: number of features -> parameter -> the values to choose from.
    """

    make: Callable[[], BaseEstimator]
    grid: Callable[[int], Mapping[str, Sequence[float]]]


RIDGE = Regressor(Ridge, lambda features: {"alpha": 10.0 ** np.arange(-1, 7)})
# Features and scores have variance 1 here, so that one grid suits all of them.
SVR_RBF = Regressor(
    lambda: SVR(kernel="rbf", epsilon=0.1),
    lambda features: {"C": 2.0 ** np.arange(-1, 6, 2), "gamma": 4.0 ** np.arange(-2, 2) / features},
)  # fmt: skip
SVR_LINEAR = Regressor(
    lambda: SVR(kernel="linear", epsilon=0.1),
    lambda features: {"C": 2.0 ** np.arange(-12, 1, 2)},
)


def count_folds(groups: Shaped[np.ndarray, " row"]) -> int:
    """Says over how many folds of groups a regressor is chosen.

    Raises:
        TrainingError: there is one group only.
    """
    folds = min(_FOLDS, len(np.unique(groups)))
    if folds < 2:
        raise TrainingError(
            "a baseline chooses its parameters on groups it was not fitted on, and all images to "
            "fit on are of one group; give more groups, or leave protocol.baselines empty."
        )
    return folds


def choose(
    regressor: Regressor,
    features: Float[np.ndarray, "row feature"],
    labels: Float[np.ndarray, " row"],
    groups: Shaped[np.ndarray, " row"],
) -> BaseEstimator:
    """Chooses a regressor's parameters by squared error over folds of groups, then fits it.

    The scaling of features and labels is fitted inside every fold.

    Raises:
        TrainingError: there is one group only.
    """
    folds = count_folds(groups)
    model = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), regressor.make()), transformer=StandardScaler()
    )
    step = model.regressor.steps[-1][0]
    grid: dict[str, Any] = {
        f"regressor__{step}__{name}": list(values)
        for name, values in regressor.grid(features.shape[1]).items()
    }
    search = GridSearchCV(model, grid, cv=GroupKFold(folds), scoring="neg_mean_squared_error")
    return search.fit(features, labels, groups=groups).best_estimator_


def regression_on(
    describe: Callable[[Rows, int], tuple[np.ndarray, Sequence[str]]], regressor: Regressor
) -> Baseline:
    """Makes a baseline of features and a regressor.

    Args:
        describe: (rows, threads) -> features [image, feature], and per image why it has none.
        regressor: on the features.
    """

    def fit_from_config(config: ml_collections.ConfigDict, train: Rows, _: Path) -> Predict:
        threads = config.host.threads
        features, errors = describe(train, threads)
        is_known = np.array([not error for error in errors])
        if not is_known.any():
            raise TrainingError("a baseline has no readable image to be fitted on.")
        model = choose(
            regressor, features[is_known], train.labels[is_known], train.groups[is_known]
        )

        def predict(rows: Rows) -> Answers:
            features, errors = describe(rows, threads)
            is_known = np.array([not error for error in errors], bool)
            scores = np.full(len(errors), np.nan)
            if is_known.any():
                scores[is_known] = model.predict(features[is_known])
            return Answers(scores, errors)

        return predict

    return fit_from_config
