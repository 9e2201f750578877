"""Tasks: how many outputs the head has, what an example costs, how outputs become an answer.

The loss follows the label kind. Builders take what they need of the keyword arguments `classes`,
`label_smoothing`, `sce_alpha`, `sce_beta`, `gce_q`, `minimum`, `maximum`, `bins`, `plcc_weight`,
`margin`, `temperature`, `triplet_margin` and `projection_dim`.
"""

from collections.abc import Callable

from iqa_jax.learning.tasks.classification import CLASSIFICATIONS
from iqa_jax.learning.tasks.comparing import COMPARISONS
from iqa_jax.learning.tasks.contrasting import CLASS_CONTRASTS, LEVEL_CONTRASTS
from iqa_jax.learning.tasks.grading import coral_grading, corn_grading, emd_grading
from iqa_jax.learning.tasks.scoring import REGRESSIONS, emd_scoring
from iqa_jax.learning.tasks.task import Task

# Label kind -> name of a loss -> builder; the first loss is the kind's default.
TASKS: dict[str, dict[str, Callable[..., Task]]] = {
    "binary": {**CLASSIFICATIONS, **CLASS_CONTRASTS},
    "ordered": {
        **CLASSIFICATIONS,
        "coral": coral_grading,
        "corn": corn_grading,
        "emd": emd_grading,
        **LEVEL_CONTRASTS,
    },
    "unordered": {**CLASSIFICATIONS, **CLASS_CONTRASTS},
    "numeric": {**REGRESSIONS, "emd": emd_scoring},
    "ranking": COMPARISONS,
    "pairs": {"logistic": COMPARISONS["logistic"], **COMPARISONS},
}


def default_loss(kind: str) -> str:
    """Names the loss that a label kind gets where none is asked for."""
    return next(iter(TASKS[kind]))


__all__ = ["CLASS_CONTRASTS", "REGRESSIONS", "TASKS", "Task", "default_loss"]
