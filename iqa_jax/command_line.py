"""The flags of main.py, and which of them each mode takes."""

import shlex
import sys

from absl import app, flags
from ml_collections import config_flags

from input_pipeline.file_names import name_text

# Mode, which is also its file -> its function, the flags it needs, and those it also takes.
MODES = {
    "check": ("check", ["config"], []),
    "prepare": ("prepare", ["config", "output"], ["beam_options"]),
    "train": ("train", ["config", "workdir"], ["distributed", "profile"]),
    "compare": ("compare", ["config", "workdir"], []),
    "protocol": ("run_protocol", ["config", "workdir"], []),
    "clean": ("clean", ["config", "workdir"], []),
    "compare_runs": ("compare_runs", ["workdir", "other"], []),
    "evaluate": ("evaluate", ["workdir"], ["split", "manifest"]),
    "predict": ("predict", ["workdir", "images"], ["output", "shard", "deduplicate"]),
    "explain": ("explain", ["workdir", "images", "output"], []),
}
config_flags.DEFINE_config_file("config", help_string="A recipe: configs/X.py.")
flags.DEFINE_enum("mode", "train", list(MODES), "What to do.")
flags.DEFINE_string("workdir", "", "Folder of the run.")
flags.DEFINE_string("split", "", "evaluate: only this split; default: all but train.")
flags.DEFINE_string("manifest", "", "evaluate: another manifest than the run's.")
flags.DEFINE_string(
    "distributed", "", "train, in several processes: auto or HOST:PORT,PROCESSES,NUMBER."
)
flags.DEFINE_bool("profile", False, "train: trace a few steps, and say where their time goes.")
flags.DEFINE_string("other", "", "compare_runs: folder of the run to compare with.")
flags.DEFINE_string("images", "", "A folder, pattern, image, .txt or table.")
flags.DEFINE_string(
    "output", "scores.csv", "predict: .csv, .jsonl or .parquet; explain, prepare: a folder."
)
flags.DEFINE_string(
    "beam_options", "", "prepare: run on Apache Beam with these options, as --runner=DirectRunner."
)
flags.DEFINE_string("shard", "", "predict: i/n, the i-th (from 0) of n parts of the list.")
flags.DEFINE_bool("deduplicate", False, "predict: score equal files once.")


def check_flags() -> None:
    """Refuses flags that the mode lacks or has no use for.

    Raises:
      UsageError: with a sentence.
    """
    _, needed, optional = MODES[flags.FLAGS.mode]
    given = {name for name in needed if flags.FLAGS[name].present and flags.FLAGS[name].value}
    missing = [f"--{name}" for name in needed if name not in given]
    if missing:
        raise app.UsageError(f"--mode={flags.FLAGS.mode} needs {' and '.join(missing)}.")
    known = {name for _, *both in MODES.values() for names in both for name in names}
    for name in sorted(known.difference(needed, optional)):
        if flags.FLAGS[name].present:
            raise app.UsageError(f"--mode={flags.FLAGS.mode} has no use for --{name}.")


def as_typed() -> str:
    """Writes the command of this process, for people to give it again."""
    return name_text(shlex.join(["python", *sys.argv]))


def parse(argv: list[str]) -> list[str]:
    """Reads the flags; ends the program at a key that the config does not have.

    Returns:
      What is no flag, the name of the program first.
    """
    try:
        return app.parse_flags_with_usage(argv)
    except (AttributeError, KeyError) as error:
        # A key that the config does not have; the message names a near one.
        cause = error.args[0] if isinstance(error.args[0], KeyError) else error
        sys.exit("error: --config: there is no key " + " ".join(str(cause.args[0]).split("\n")))
