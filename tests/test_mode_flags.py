"""The table of modes and flags: complete, and true of the program."""

import importlib
import inspect

import pytest
from absl import flags

from iqa_jax import command_line
from iqa_jax.mode_flags import FLAGS, MODES, flag_text, usage
from tiny import ROOT


def test_every_file_of_modes_has_an_entry_and_the_function_is_there():
    files = {path.stem for path in (ROOT / "iqa_jax/modes").glob("*.py")} - {"__init__"}
    assert files == set(MODES)
    for mode, about in MODES.items():
        module = importlib.import_module(f"iqa_jax.modes.{mode}")
        assert inspect.isfunction(getattr(module, about.function))


def test_every_flag_is_used_and_means_something_where_it_is():
    assert set(FLAGS) == {name for about in MODES.values() for name in about.flags}
    for mode, about in MODES.items():
        assert len(set(about.flags)) == len(about.flags)
        for name in about.flags:
            assert FLAGS[name].meaning(mode), f"{mode} --{name}"
            # What may be left out says what happens then.
            assert name in about.needs or FLAGS[name].without, f"{mode} --{name}"


def test_the_defaults_that_are_told_are_those_of_the_program():
    registered = {
        flag.name: flag.default
        for flag in flags.FLAGS.get_flags_for_module(command_line.__name__)
    }  # fmt: skip
    assert registered.pop("mode") == "train" and registered.pop("config") is None
    assert set(registered) == set(FLAGS) - {"config"}
    assert registered["output"] == FLAGS["output"].without == "scores.csv"
    assert {registered[name] for name in ("profile", "deduplicate")} == {False}
    assert not any(registered[name] for name in registered if name != "output")


def test_usage_tells_needed_flags_from_others():
    assert usage("prepare", "iqa-jax prepare") == (
        "iqa-jax prepare --config=RECIPE --output=PLACE [--beam_options=OPTIONS] "
        "[--config.KEY=VALUE ...]"
    )
    assert usage("export", "x") == "x --workdir=RUN --output=PLACE"
    assert flag_text("shard") == "--shard=I/N" and flag_text("deduplicate") == "--deduplicate"


@pytest.mark.parametrize("mode", MODES)
def test_an_example_gives_what_the_mode_needs_and_no_other_flag(mode):
    about = MODES[mode]
    given = {
        word.removeprefix("--").partition("=")[0]
        for word in about.example.split()
        if not word.startswith("--config.")
    }
    assert set(about.needs) <= given <= set(about.flags)
