"""Writes a finished run into one file that can be given away: `--mode=export`."""

from pathlib import Path

from iqa_jax.host.progress import say
from iqa_jax.run.packed import ENDING, write_packed
from iqa_jax.run.seen import FILE as SEEN
from iqa_jax.run.seen import seen_without_places
from iqa_jax.run.variables import restore_trained
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.exported.about import about_from_config
from iqa_jax.scoring.exported.answer import answer_from_config
from iqa_jax.scoring.exported.onnx_file import write_onnx
from iqa_jax.scoring.exported.stablehlo import write_stablehlo
from iqa_jax.scoring.fitted import FILES
from iqa_jax.scoring.trained_run import run_from_config

# Ending -> what writes the network of a run for programs that lack this one.
_WRITERS = {".stablehlo": write_stablehlo, ".onnx": write_onnx}


def export(workdir: Workdir, output: str) -> int:
    """Writes what answers of a run.

    A `.safetensors` file also holds what was fitted for it, and every mode takes it; `.stablehlo`
    and `.onnx` files hold the network for other programs.

    Args:
        workdir: of the run.
        output: the file.

    Returns:
        The exit status: 0.

    Raises:
        WorkdirError, CheckpointError: with a sentence.
    """
    path = Path(output)
    if path.suffix not in (ENDING, *_WRITERS):
        endings = ", ".join((ENDING, *_WRITERS))
        raise WorkdirError(f"--output={output}: the ending must be one of {endings}.")
    if not path.parent.is_dir():
        raise WorkdirError(f"--output={output}: there is no folder {path.parent}.")
    if path.suffix != ENDING:
        _write_network(workdir, path)
        return 0
    variables, step = restore_trained(workdir, workdir.config())
    seen = {SEEN: seen_without_places(workdir)}
    digest = write_packed(workdir, variables, step, FILES, seen, path)
    say(f"{path}: {path.stat().st_size:,} bytes, sha256 {digest}. Every mode takes it: "
        f"--workdir={path}")  # fmt: skip
    return 0


def _write_network(workdir: Workdir, path: Path) -> None:
    config = workdir.config()
    run = run_from_config(workdir, config)
    answer, about = answer_from_config(config, run), about_from_config(config, run)
    _WRITERS[path.suffix](answer, config.tiles.size, about, path)
    more = ""
    if len(run.views) > 1:
        more = f" The run averages over {len(run.views)} views (tta), which is left to the caller."
    say(f"{path}: {path.stat().st_size:,} bytes. docs/export.md says how it is called.{more}")
