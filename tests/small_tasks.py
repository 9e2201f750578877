"""Tasks as the default config has them, in small."""

from configs import default
from iqa_jax.learning.tasks import TASKS, Labels, Task


def make_task(kind: str, name: str, **changes) -> Task:
    """Makes a task as by default; `changes` are of its labels and of the keys of its loss."""
    loss, labels = TASKS[kind][name], {"classes": 2 if kind == "binary" else 5}
    labels |= {"minimum": 1.0, "maximum": 5.0}
    keys = default.get_config().loss[loss.section].to_dict() if loss.section else {}
    small = {"label_smoothing": 0.0, "bins": 9, "projection_dim": 8}
    keys |= {key: value for key, value in (small | changes).items() if key in keys}
    labels |= {key: value for key, value in changes.items() if key not in keys}
    return loss.make(Labels(**labels), **keys)
