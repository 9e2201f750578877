"""The curves of a run: a line of history.jsonl each time, and the same for TensorBoard.

TensorBoard writes its files itself. clu's writers of metrics would write them through TensorFlow,
which is larger than all other packages together and which nothing else of a training needs.
"""

import sys
from collections.abc import Mapping
from functools import cached_property
from types import ModuleType

from input_pipeline.extras import MissingExtraError, extra
from iqa_jax.host.processes import is_first
from iqa_jax.host.progress import say
from iqa_jax.run.workdir import Workdir

# Where there is a module of this name, TensorBoard does without TensorFlow, installed or not.
_WITHOUT_TENSORFLOW = "tensorboard.compat.notf"


class Curves:
    """Writes values by step.

    Args:
        workdir: of the run.
    """

    def __init__(self, workdir: Workdir):
        self._workdir = workdir

    @cached_property
    def _tensorboard(self):
        sys.modules.setdefault(_WITHOUT_TENSORFLOW, ModuleType(_WITHOUT_TENSORFLOW))
        try:
            with extra("tensorboard"):
                from tensorboard.summary import Writer
        except MissingExtraError as error:
            say(f"curves go to history.jsonl alone. {error}")
            return None
        return Writer(str(self._workdir.folder / "tensorboard"))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the values of a step, in the first process of a run."""
        self._workdir.add_history({"step": step, **values})
        if is_first() and self._tensorboard:
            for name, value in values.items():
                self._tensorboard.add_scalar(name, value, step)
            self._tensorboard.flush()
