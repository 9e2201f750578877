"""The classic methods that a recipe is set beside: `protocol.baselines`.

Each is a `Baseline`: fitted on the rows of a split that are not tested, it answers others. What it
chooses, it chooses by cross-validation among the rows that it is fitted on.
"""

from collections.abc import Callable

import ml_collections

from iqa_jax.studies.baselines.deep_biq import encoder_config, fit_deep_biq
from iqa_jax.studies.baselines.pictures import frozen_statistics, scene_statistics
from iqa_jax.studies.baselines.regression import RIDGE, SVR_RBF, regression_on
from iqa_jax.studies.baselines.rows import Baseline

BASELINES: dict[str, Baseline] = {
    "ridge": regression_on(frozen_statistics, RIDGE),
    "svr": regression_on(frozen_statistics, SVR_RBF),
    "brisque_svr": regression_on(scene_statistics, SVR_RBF),
    "deep_biq": fit_deep_biq,
}
# Those that train a network: how its config is made from the recipe's, and checked.
TRAINED: dict[str, Callable[[ml_collections.ConfigDict], ml_collections.ConfigDict]] = {
    "deep_biq": encoder_config,
}
