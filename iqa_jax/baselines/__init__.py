"""The classic methods that a recipe is set beside: `protocol.baselines`.

Each is a `Baseline`: fitted on the rows of a split that are not tested, it answers others. What it
chooses, it chooses by cross-validation among the rows that it is fitted on.
"""

from iqa_jax.baselines.deep_biq import fit_deep_biq
from iqa_jax.baselines.pictures import frozen_statistics, scene_statistics
from iqa_jax.baselines.regression import RIDGE, SVR_RBF, regression_on
from iqa_jax.baselines.rows import Baseline

BASELINES: dict[str, Baseline] = {
    "ridge": regression_on(frozen_statistics, RIDGE),
    "svr": regression_on(frozen_statistics, SVR_RBF),
    "brisque_svr": regression_on(scene_statistics, SVR_RBF),
    "deep_biq": fit_deep_biq,
}
