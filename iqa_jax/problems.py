"""The errors that end a command with a sentence instead of a traceback."""

from input_pipeline.extras import MissingExtraError
from input_pipeline.files.images import ImageError
from input_pipeline.tables.table_files import ManifestError
from iqa_jax.host.lock import InUseError
from iqa_jax.host.processes import ProcessesError
from iqa_jax.learning.checkpoint import CheckpointError
from iqa_jax.learning.sharding import PlacementError
from iqa_jax.models.encoders.pretrained import PretrainedError
from iqa_jax.run.checks import ConfigError
from iqa_jax.run.workdir import WorkdirError
from iqa_jax.training.training_error import TrainingError

PROBLEMS = (
    CheckpointError,
    ConfigError,
    ImageError,
    InUseError,
    ManifestError,
    MissingExtraError,
    OSError,
    PlacementError,
    PretrainedError,
    ProcessesError,
    TrainingError,
    WorkdirError,
)
