"""Help tells of a mode its own flags, with what happens without them, and of no other's."""

import re

import pytest

from iqa_jax.mode_flags import FLAGS, MODES
from iqa_jax.mode_help import mode_help, overview


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_lists_its_own_flags_and_an_example(mode, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = mode_help(mode)
    listed = re.findall(r"^  --([\w.]+)", text, re.MULTILINE)
    keys = ["config.KEY"] if "config" in MODES[mode].flags else []
    assert listed == [*MODES[mode].flags, *keys]
    assert f"Example: iqa-jax {mode} {MODES[mode].example}" in text
    assert text.count("Default: ") == len(MODES[mode].takes) + len(keys)
    flat = " ".join(text.split())
    for name in MODES[mode].takes:
        assert f"Default: {FLAGS[name].without}." in flat
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("Example"))


def test_output_means_another_thing_in_another_mode():
    assert ".parquet" in mode_help("predict") and ".parquet" not in mode_help("export")
    assert ".safetensors" in mode_help("export") and ".safetensors" not in mode_help("explain")


def test_the_overview_names_every_mode():
    listed = re.findall(r"^  (\w+)  ", overview().partition("Modes:")[2], re.MULTILINE)
    assert listed == list(MODES)
