"""The errors that end a command with a sentence instead of a traceback."""

from input_pipeline.images import ImageError
from input_pipeline.table_files import ManifestError
from iqa_jax.config_checks import ConfigError
from iqa_jax.learning.checkpoint import CheckpointError
from iqa_jax.learning.sharding import PlacementError
from iqa_jax.lock import InUseError
from iqa_jax.models.pretrained import PretrainedError
from iqa_jax.processes import ProcessesError
from iqa_jax.training_data import TrainingError
from iqa_jax.workdir import WorkdirError

PROBLEMS = (
    CheckpointError,
    ConfigError,
    ImageError,
    InUseError,
    ManifestError,
    OSError,
    PlacementError,
    PretrainedError,
    ProcessesError,
    TrainingError,
    WorkdirError,
)
