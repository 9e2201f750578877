"""Tasks: how many outputs the head has, what an example costs, how outputs become an answer.

The loss follows the label kind. What it is set by are the keys of its own section of `config.loss`.
"""

from iqa_jax.learning.tasks.classification import CLASSIFICATIONS
from iqa_jax.learning.tasks.comparing import COMPARISONS
from iqa_jax.learning.tasks.contrasting import CLASS_CONTRASTS, LEVEL_CONTRASTS
from iqa_jax.learning.tasks.grading import GRADINGS
from iqa_jax.learning.tasks.scoring import REGRESSIONS, emd_scoring
from iqa_jax.learning.tasks.task import Labels, Loss, Task

# Label kind -> name of a loss -> the loss; the first is the kind's default.
TASKS: dict[str, dict[str, Loss]] = {
    "binary": {**CLASSIFICATIONS, **CLASS_CONTRASTS},
    "ordered": {**CLASSIFICATIONS, **GRADINGS, **LEVEL_CONTRASTS},
    "unordered": {**CLASSIFICATIONS, **CLASS_CONTRASTS},
    "numeric": {**REGRESSIONS, "emd": Loss(emd_scoring, "emd")},
    "ranking": COMPARISONS,
    "pairs": {"logistic": COMPARISONS["logistic"], **COMPARISONS},
}


def default_loss(kind: str) -> str:
    """Names the loss that a label kind gets where none is asked for."""
    return next(iter(TASKS[kind]))


__all__ = ["CLASS_CONTRASTS", "REGRESSIONS", "TASKS", "Labels", "Task", "default_loss"]
