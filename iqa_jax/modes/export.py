"""Writes a finished run into one file that can be given away: `--mode=export`."""

from pathlib import Path

from iqa_jax.host.progress import say
from iqa_jax.run.packed import ENDING, write_packed
from iqa_jax.run.seen import FILE as SEEN
from iqa_jax.run.seen import seen_without_places
from iqa_jax.run.variables import restore_trained
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.fitted import FILES


def export(workdir: Workdir, output: str) -> int:
    """Writes what answers of a run, and what was fitted for it, into a `.safetensors` file.

    Args:
        workdir: of the run.
        output: the file.

    Returns:
        The exit status: 0.

    Raises:
        WorkdirError, CheckpointError: with a sentence.
    """
    path = Path(output)
    if path.suffix != ENDING:
        raise WorkdirError(f"--output={output}: the ending must be {ENDING}.")
    if not path.parent.is_dir():
        raise WorkdirError(f"--output={output}: there is no folder {path.parent}.")
    variables, step = restore_trained(workdir, workdir.config())
    seen = {SEEN: seen_without_places(workdir)}
    digest = write_packed(workdir, variables, step, FILES, seen, path)
    say(f"{path}: {path.stat().st_size:,} bytes, sha256 {digest}. Every mode takes it: "
        f"--workdir={path}")  # fmt: skip
    return 0
