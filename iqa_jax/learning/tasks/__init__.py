"""Tasks: how many outputs the head has, what an example costs, how outputs become an answer.

The loss follows the label kind. Builders take what they need of the keyword arguments `classes`,
`label_smoothing`, `sce_alpha`, `sce_beta`, `gce_q`, `minimum`, `maximum`, `bins` and `plcc_weight`.
"""

from collections.abc import Callable

from iqa_jax.learning.tasks.classification import CLASSIFICATIONS
from iqa_jax.learning.tasks.grading import coral_grading, corn_grading, emd_grading
from iqa_jax.learning.tasks.scoring import REGRESSIONS, emd_scoring
from iqa_jax.learning.tasks.task import Task

# Label kind -> name of a loss -> builder; the first loss is the kind's default.
TASKS: dict[str, dict[str, Callable[..., Task]]] = {
    "binary": CLASSIFICATIONS,
    "ordered": {
        **CLASSIFICATIONS,
        "coral": coral_grading,
        "corn": corn_grading,
        "emd": emd_grading,
    },
    "unordered": CLASSIFICATIONS,
    "numeric": {**REGRESSIONS, "emd": emd_scoring},
}


def default_loss(kind: str) -> str:
    """Names the loss that a label kind gets where none is asked for."""
    return next(iter(TASKS[kind]))


__all__ = ["REGRESSIONS", "TASKS", "Task", "default_loss"]
