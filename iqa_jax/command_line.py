"""The flags of the command line: reads them, and refuses what a mode has no use for."""

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
from iqa_jax.mode_flags import FLAGS, MODES, flag_text
from iqa_jax.run.renamed import renaming

# The command that is installed with the package.
CONSOLE = "iqa-jax"


def _define_flags() -> None:
    flags.DEFINE_enum("mode", "train", list(MODES), "What to do.")
    for name, flag in FLAGS.items():
        if name == "config":
            config_flags.DEFINE_config_file(name, help_string=_help_of(name))
        elif flag.value:
            flags.DEFINE_string(name, flag.default, _help_of(name))
        else:
            flags.DEFINE_bool(name, False, _help_of(name))


def _help_of(name: str) -> str:
    """Says what a flag means in every mode that takes it."""
    modes: dict[str, list[str]] = {}
    for mode, about in MODES.items():
        if name in about.flags:
            modes.setdefault(FLAGS[name].meaning(mode), []).append(mode)
    return " ".join(f"{', '.join(of)}: {meaning}" for meaning, of in modes.items())


_define_flags()


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


def recipe_names() -> list[str]:
    """Lists the recipes that come with the program."""
    files = Path(configs.__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if path.stem != "__init__")


class _RecipeParser(config_flags.config_flags.ConfigFileFlagParser):
    def parse(self, path: str):
        file = find_recipe(path)
        # A recipe may take an argument, as FILE:ARGUMENT.
        if not Path(file.partition(":")[0]).exists():
            names = ", ".join(recipe_names())
            raise ValueError(
                f"there is no such file. The recipes that come with the program are: {names}."
            )
        return super().parse(file)


flags.FLAGS["config"].parser = _RecipeParser("config")


def check_flags() -> None:
    """Refuses flags that the mode lacks or has no use for.

    Raises:
        UsageError: with a sentence.
    """
    mode = flags.FLAGS.mode
    missing = [
        flag_text(name)
        for name in MODES[mode].needs
        if not (flags.FLAGS[name].present and flags.FLAGS[name].value)
    ]
    if missing:
        raise app.UsageError(f"{_this(mode)} needs {' and '.join(missing)}.")
    if mode == "evaluate" and not (flags.FLAGS.workdir or flags.FLAGS.manifest):
        raise app.UsageError(f"{_this(mode)} needs --workdir, or --manifest with your labels.")
    for name in sorted(set(FLAGS).difference(MODES[mode].flags)):
        if flags.FLAGS[name].present:
            raise app.UsageError(f"{_this(mode)} has no use for --{name}.")


def is_console() -> bool:
    """Says whether this process was started by the installed command."""
    return Path(sys.argv[0]).name == CONSOLE


def help_hint() -> str:
    """Says where to read which flags there are."""
    if is_console():
        return f"See {CONSOLE} {flags.FLAGS.mode} --help."
    return f"See python {' '.join(_started())} --help."


def _started() -> list[str]:
    program = sys.argv[0]
    return ["-m", "iqa_jax"] if Path(program).name == "__main__.py" else [program]


def _this(mode: str) -> str:
    return f"{CONSOLE} {mode}" if is_console() else f"--mode={mode}"


def as_typed() -> str:
    """Writes the command of this process, for people to give it again."""
    rest = sys.argv[1:]
    if is_console():
        # `console` has put the flag in the place of the word that people give.
        mode, *rest = rest
        return name_text(shlex.join([CONSOLE, mode.removeprefix("--mode="), *rest]))
    return name_text(shlex.join(["python", *_started(), *rest]))


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
        rest = flags.FLAGS([_expand_home(argument) for argument in argv])
        # A recipe that cannot be loaded complains when it is used.
        if isinstance(flags.FLAGS.config, ml_collections.ConfigDict):
            _expand_config(flags.FLAGS.config)
        return rest
    except flags.Error as error:
        sys.exit(f"error: {error}")
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
