"""Does what the command line says: main.py, `python -m iqa_jax` and `iqa-jax`."""

import importlib
import signal
import sys
from collections.abc import Callable

from absl import app, flags, logging

from iqa_jax import command_line
from iqa_jax.mode_flags import MODES, usage

_ABOUT = """Trains, evaluates and applies image-quality scorers.

{usages}

Without --workdir the built-in scorer of photographs answers.

Where iqa_jax is installed, `python -m iqa_jax` does the same from any folder, and so does
`iqa-jax`, with the mode as its first word. A recipe that is not there is the one installed:
--config=configs/X.py or --config=X.
"""


def run_mode() -> int:
    """Runs the mode that the flags name; gives the exit status.

    Raises:
        UsageError: the flags are not those of the mode.
    """
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
    run = getattr(importlib.import_module(f"iqa_jax.modes.{mode}"), MODES[mode].function)
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


def _main(argv: list[str], run: Callable[[], int]) -> int:
    signal.signal(signal.SIGTERM, _end)
    try:
        if len(argv) > 1:
            raise app.UsageError(f"I do not know what to do with {' '.join(argv[1:])}.")
        return run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except app.UsageError as error:
        print(f"error: {error} {command_line.help_hint()}", file=sys.stderr)
        return 1
    except Exception as error:
        from iqa_jax.host.progress import complain
        from iqa_jax.problems import PROBLEMS

        if not isinstance(error, PROBLEMS):
            raise
        complain(error)
        return 1


def run_program(run: Callable[[], int] = run_mode) -> None:
    """Does what the command line says, and ends the process with the exit status.

    Args:
        run: what it does with the flags; gives the exit status.
    """
    # What --help shows is this text and the flags of the file that was started.
    usages = "\n".join(usage(mode, f"python main.py --mode={mode}") for mode in MODES)
    sys.modules["__main__"].__doc__ = _ABOUT.format(usages=usages)
    for flag in flags.FLAGS.get_flags_for_module(command_line.__name__):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    logging.set_verbosity(logging.WARNING)
    app.run(lambda argv: _main(argv, run), flags_parser=command_line.parse)
