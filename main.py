"""Trains, evaluates and applies image-quality scorers.

python main.py --config=configs/X.py --workdir=DIR [--config.KEY=VALUE ...]
python main.py --mode=check    --config=configs/X.py
python main.py --mode=prepare  --config=configs/X.py --output=DIR [--beam_options=...]
python main.py --mode=compare  --config=configs/X.py --workdir=DIR
python main.py --mode=protocol --config=configs/X.py --workdir=DIR
python main.py --mode=clean    --config=configs/X.py --workdir=DIR
python main.py --mode=compare_runs --workdir=DIR --other=DIR
python main.py --mode=evaluate --workdir=DIR [--split=holdout] [--manifest=other.csv]
python main.py --mode=predict  --workdir=DIR --images='photos/**/*.jpg' --output=scores.csv \
    [--shard=0/8] [--deduplicate]
python main.py --mode=explain  --workdir=DIR --images='photos/**/*.jpg' --output=FOLDER
"""

import importlib
import shlex
import sys

from absl import app, flags, logging
from ml_collections import config_flags

# Mode, which is also its file -> its function, the flags it needs, and those it also takes.
_MODES = {
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
_CONFIG = config_flags.DEFINE_config_file("config", help_string="A recipe: configs/X.py.")
_MODE = flags.DEFINE_enum("mode", "train", list(_MODES), "What to do.")
_WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run.")
_SPLIT = flags.DEFINE_string("split", "", "evaluate: only this split; default: all but train.")
_MANIFEST = flags.DEFINE_string("manifest", "", "evaluate: another manifest than the run's.")
_DISTRIBUTED = flags.DEFINE_string(
    "distributed", "", "train, in several processes: auto or HOST:PORT,PROCESSES,NUMBER."
)
_PROFILE = flags.DEFINE_bool(
    "profile", False, "train: trace a few steps, and say where their time goes."
)
_OTHER = flags.DEFINE_string("other", "", "compare_runs: folder of the run to compare with.")
_IMAGES = flags.DEFINE_string("images", "", "A folder, pattern, image, .txt or table.")
_OUTPUT = flags.DEFINE_string(
    "output", "scores.csv", "predict: .csv, .jsonl or .parquet; explain, prepare: a folder."
)
_BEAM_OPTIONS = flags.DEFINE_string(
    "beam_options", "", "prepare: run on Apache Beam with these options, as --runner=DirectRunner."
)
_SHARD = flags.DEFINE_string("shard", "", "predict: i/n, the i-th (from 0) of n parts of the list.")
_DEDUPLICATE = flags.DEFINE_bool("deduplicate", False, "predict: score equal files once.")


def _check_flags() -> None:
    _, needed, optional = _MODES[_MODE.value]
    given = {name for name in needed if flags.FLAGS[name].present and flags.FLAGS[name].value}
    missing = [f"--{name}" for name in needed if name not in given]
    if missing:
        raise app.UsageError(f"--mode={_MODE.value} needs {' and '.join(missing)}.")
    known = {name for _, *both in _MODES.values() for names in both for name in names}
    for name in sorted(known.difference(needed, optional)):
        if flags.FLAGS[name].present:
            raise app.UsageError(f"--mode={_MODE.value} has no use for --{name}.")


def _parse(argv: list[str]) -> list[str]:
    try:
        return app.parse_flags_with_usage(argv)
    except (AttributeError, KeyError) as error:
        # A key that the config does not have; the message names a near one.
        cause = error.args[0] if isinstance(error.args[0], KeyError) else error
        sys.exit("error: --config: there is no key " + " ".join(str(cause.args[0]).split("\n")))


def _run() -> int:
    _check_flags()
    mode, command = _MODE.value, shlex.join(["python", *sys.argv])
    from iqa_jax.host import set_up_host
    from iqa_jax.workdir import Workdir

    if _DISTRIBUTED.value:
        from iqa_jax.processes import join_processes

        join_processes(_DISTRIBUTED.value)
    set_up_host()
    # Every mode has its file, and costs only its own imports.
    run = getattr(importlib.import_module(f"iqa_jax.{mode}"), _MODES[mode][0])
    if mode == "check":
        return run(_CONFIG.value)
    if mode == "prepare":
        return run(_CONFIG.value, _OUTPUT.value, _BEAM_OPTIONS.value)
    if mode == "train":
        return run(_CONFIG.value, _WORKDIR.value, command, _PROFILE.value)
    if mode in ("compare", "protocol", "clean"):
        return run(_CONFIG.value, _WORKDIR.value, command)
    workdir = Workdir(_WORKDIR.value)
    if mode == "evaluate":
        return run(workdir, _SPLIT.value, _MANIFEST.value, command)
    if mode == "compare_runs":
        return run(workdir, Workdir(_OTHER.value), command)
    if mode == "predict":
        return run(workdir, _IMAGES.value, _OUTPUT.value, _SHARD.value, _DEDUPLICATE.value)
    return run(workdir, _IMAGES.value, _OUTPUT.value)


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"I do not know what to do with {' '.join(argv[1:])}.")
    try:
        return _run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except app.UsageError:
        raise
    except Exception as error:
        from iqa_jax.problems import PROBLEMS

        if not isinstance(error, PROBLEMS):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(main, flags_parser=_parse)
