"""Trains, evaluates and applies image-quality scorers.

python main.py --config=configs/X.py --workdir=DIR [--config.KEY=VALUE ...]
python main.py --mode=check    --config=configs/X.py
python main.py --mode=prepare  --config=configs/X.py --output=DIR [--beam_options=...]
python main.py --mode=compare  --config=configs/X.py --workdir=DIR
python main.py --mode=protocol --config=configs/X.py --workdir=DIR
python main.py --mode=clean    --config=configs/X.py --workdir=DIR
python main.py --mode=compare_runs --workdir=DIR --other=DIR
python main.py --mode=evaluate [--workdir=DIR] [--split=holdout] [--manifest=other.csv]
python main.py --mode=predict  [--workdir=DIR] --images='photos/**/*.jpg' --output=scores.csv \
    [--shard=0/8] [--deduplicate]
python main.py --mode=explain  [--workdir=DIR] --images='photos/**/*.jpg' --output=FOLDER
python main.py --mode=export   --workdir=DIR --output=scorer.safetensors

Without --workdir the scorer of photographs answers that comes with the program.

Where iqa_jax is installed, `python -m iqa_jax` does the same from any folder, and a recipe that is
not there is the one installed: --config=configs/X.py or --config=X.
"""

import importlib
import signal
import sys

from absl import app, flags, logging

from iqa_jax import command_line


def _run() -> int:
    command_line.check_flags()
    given = flags.FLAGS
    mode, command = given.mode, command_line.as_typed()
    from iqa_jax.host.machine import set_up_host
    from iqa_jax.run.packed import open_run

    if given.distributed:
        from iqa_jax.host.processes import join_processes

        join_processes(given.distributed)
    set_up_host()
    # Every mode has its file, and costs only its own imports.
    run = getattr(importlib.import_module(f"iqa_jax.modes.{mode}"), command_line.MODES[mode][0])
    if mode == "check":
        return run(given.config)
    if mode == "prepare":
        return run(given.config, given.output, given.beam_options)
    if mode == "train":
        return run(given.config, given.workdir, command, given.profile)
    if mode in ("compare", "protocol", "clean"):
        return run(given.config, given.workdir, command)
    workdir = open_run(given.workdir)
    if mode == "evaluate":
        return run(workdir, given.split, given.manifest, command)
    if mode == "compare_runs":
        return run(workdir, open_run(given.other), command)
    if mode == "predict":
        return run(workdir, given.images, given.output, given.shard, given.deduplicate)
    if mode == "export":
        return run(workdir, given.output)
    return run(workdir, given.images, given.output)


def _end(number: int, _) -> None:
    """Ends the program as an error would: what is open is closed and saved."""
    sys.exit(128 + number)


def _main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"I do not know what to do with {' '.join(argv[1:])}.")
    signal.signal(signal.SIGTERM, _end)
    try:
        return _run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except app.UsageError:
        raise
    except Exception as error:
        from iqa_jax.host.progress import complain
        from iqa_jax.problems import PROBLEMS

        if not isinstance(error, PROBLEMS):
            raise
        complain(error)
        return 1


def run_program() -> None:
    """Does what the command line says, and ends the process with the exit status."""
    # What --help shows is the docstring and the flags of the file that was started.
    sys.modules["__main__"].__doc__ = __doc__
    for flag in flags.FLAGS.get_flags_for_module(command_line.__name__):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    logging.set_verbosity(logging.WARNING)
    app.run(_main, flags_parser=command_line.parse)
