"""The flags of main.py, and which of them each mode takes."""

import os
import re
import shlex
import sys
from pathlib import Path

import ml_collections
from absl import app, flags
from ml_collections import config_flags

import configs
from input_pipeline.files.file_names import name_text
from iqa_jax.run.renamed import renaming

# Mode, which is also its file -> its function, the flags it needs, and those it also takes.
MODES = {
    "check": ("check", ["config"], []),
    "prepare": ("prepare", ["config", "output"], ["beam_options"]),
    "train": ("train", ["config", "workdir"], ["distributed", "profile"]),
    "compare": ("compare", ["config", "workdir"], []),
    "protocol": ("run_protocol", ["config", "workdir"], []),
    "clean": ("clean", ["config", "workdir"], []),
    "compare_runs": ("compare_runs", ["workdir", "other"], []),
    "evaluate": ("evaluate", [], ["workdir", "split", "manifest"]),
    "predict": ("predict", ["images"], ["workdir", "output", "shard", "deduplicate"]),
    "explain": ("explain", ["images", "output"], ["workdir"]),
    "export": ("export", ["workdir", "output"], []),
}
config_flags.DEFINE_config_file("config", help_string="A recipe: configs/X.py, or X.")
flags.DEFINE_enum("mode", "train", list(MODES), "What to do.")
flags.DEFINE_string(
    "workdir", "",
    "Folder of the run, or its file. evaluate, predict, explain: default is the scorer of "
    "photographs that comes with the program.",
)  # fmt: skip
flags.DEFINE_string("split", "", "evaluate: only this split; default: all but train.")
flags.DEFINE_string("manifest", "", "evaluate: another manifest than the run's.")
flags.DEFINE_string(
    "distributed", "", "train, in several processes: auto or HOST:PORT,PROCESSES,NUMBER."
)
flags.DEFINE_bool("profile", False, "train: trace a few steps, and say where their time goes.")
flags.DEFINE_string("other", "", "compare_runs: folder of the run to compare with.")
flags.DEFINE_string("images", "", "A folder, pattern, image, .txt or table.")
flags.DEFINE_string(
    "output", "scores.csv",
    "predict: .csv, .jsonl, .parquet or .html; export: .safetensors; explain, prepare: a folder.",
)  # fmt: skip
flags.DEFINE_string(
    "beam_options", "", "prepare: run on Apache Beam with these options, as --runner=DirectRunner."
)
flags.DEFINE_string("shard", "", "predict: i/n, the i-th (from 0) of n parts of the list.")
flags.DEFINE_bool("deduplicate", False, "predict: score equal files once.")


def find_recipe(path: str) -> str:
    """Finds a recipe: the file of that path, else the installed one that `configs/X.py` or X names.

    Args:
        path: as the user wrote it.

    Returns:
        The path of the file; what was given if there is no such recipe.
    """
    installed = Path(configs.__file__).with_name(f"{Path(path).stem}.py")
    is_ours = path in (installed.stem, f"configs/{installed.name}") and installed.is_file()
    return str(installed) if is_ours and not Path(path).is_file() else path


class _RecipeParser(config_flags.config_flags.ConfigFileFlagParser):
    def parse(self, path: str):
        return super().parse(find_recipe(path))


flags.FLAGS["config"].parser = _RecipeParser("config")


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
    if flags.FLAGS.mode == "evaluate" and not (flags.FLAGS.workdir or flags.FLAGS.manifest):
        raise app.UsageError("--mode=evaluate needs --workdir, or --manifest with your labels.")
    known = {name for _, *both in MODES.values() for names in both for name in names}
    for name in sorted(known.difference(needed, optional)):
        if flags.FLAGS[name].present:
            raise app.UsageError(f"--mode={flags.FLAGS.mode} has no use for --{name}.")


def as_typed() -> str:
    """Writes the command of this process, for people to give it again."""
    program, *rest = sys.argv
    started = ["-m", "iqa_jax"] if Path(program).name == "__main__.py" else [program]
    return name_text(shlex.join(["python", *started, *rest]))


def parse(argv: list[str]) -> list[str]:
    """Reads the flags; ends the program at a key that the config does not have.

    A shell leaves `~` in `--flag=~/folder` as it is, and libraries differ in what they make of it:
    here it is the home folder, in every flag and in every key, of a recipe too.

    Returns:
        What is no flag, the name of the program first.
    """
    for argument in argv:
        key = re.match(r"--?(?:no)?config\.([\w.]+)", argument)
        if key and (clause := renaming(key[1])):
            sys.exit(f"error: --config: {key[1]} {clause}.")
    try:
        rest = app.parse_flags_with_usage([_expand_home(argument) for argument in argv])
        # A recipe that cannot be loaded complains when it is used.
        if isinstance(flags.FLAGS.config, ml_collections.ConfigDict):
            _expand_config(flags.FLAGS.config)
        return rest
    except (AttributeError, KeyError) as error:
        # A key that the config does not have; the message names a near one.
        cause = error.args[0] if isinstance(error.args[0], KeyError) else error
        sys.exit("error: --config: there is no key " + " ".join(str(cause.args[0]).split("\n")))


def _expand_home(argument: str) -> str:
    """Puts the home folder for a `~` that begins an argument, or the value of a flag."""
    flag, value = re.fullmatch(r"(--?[\w.]+=)?(.*)", argument, re.DOTALL).groups()
    return (flag or "") + os.path.expanduser(value)


def _expand_config(config: ml_collections.ConfigDict) -> None:
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            _expand_config(value)
        elif isinstance(value, tuple):
            config[key] = tuple(
                os.path.expanduser(item) if isinstance(item, str) else item for item in value
            )
        # A workdir keeps the place of the caches as it is given: it may move to another home.
        elif isinstance(value, str) and key != "cache_folder":
            config[key] = os.path.expanduser(value)
