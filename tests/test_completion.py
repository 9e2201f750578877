"""What a shell offers after a beginning of `iqa-jax …`, asked of the shells themselves."""

import shutil
import subprocess

import pytest

from iqa_jax import completion
from iqa_jax.mode_flags import MODES
from tiny import ROOT

# Bash parts a word at "=".
_BASH = """source {script}
COMP_WORDS=({words}) COMP_CWORD={last}
_iqa_jax
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# The functions of zsh's completion that the script calls, as far as the test needs them.
_ZSH = """compdef() {{ : }}
_files() {{ print -l -- *(N) }}
_describe() {{ print -l -- ${{${{(P)2}}%%:*}} }}
compadd() {{ print -l -- "$@" }}
_arguments() {{ print -l -- ${{(M)@:#--*}} }}
source {script}
words=({words}) CURRENT={last} PREFIX={prefix}
_iqa_jax
"""


def needs(shell: str):
    return pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed")


@pytest.fixture(params=[pytest.param(shell, marks=needs(shell)) for shell in completion.SCRIPTS])
def offered(request, tmp_path):
    """Asks a shell what may stand where `line` ends; files are those of the checkout."""
    shell = request.param
    script = tmp_path / "script"
    script.write_text(completion.SCRIPTS[shell]())

    def ask(line: str) -> set[str]:
        words = line.split(" ")
        beginning = words[-1]
        if shell == "bash":
            words = line.replace("=", " = ").rstrip(" ").split() + [""] * line.endswith(" ")
            text = _BASH.format(
                script=script, words=" ".join(f"'{word}'" for word in words), last=len(words) - 1
            )
        elif shell == "zsh":
            text = _ZSH.format(
                script=script, words=" ".join(f"'{word}'" for word in words), last=len(words),
                prefix=f"'{beginning}'",
            )  # fmt: skip
        else:
            text = f"source {script}; complete -C '{line}'"
        done = subprocess.run(
            [shell, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr == ""
        lines = [line.partition("\t")[0] for line in done.stdout.splitlines()]
        if shell == "zsh":  # Its own functions choose among what they are told.
            lines = [line.partition("[")[0] for line in lines]
            lines = [line for line in lines if line.startswith(beginning.partition("=")[0])]
        return {line.rstrip("=") for line in lines}

    ask.shell = shell
    return ask


def test_modes_come_first(offered):
    assert offered("iqa-jax tra") == {"train"}
    assert {"compare", "compare_runs", "completion"} <= offered("iqa-jax comp") | {"completion"}
    assert {"predict", "prepare", "protocol"} == offered("iqa-jax pr")


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_offers_its_own_flags(offered, mode):
    flags = {flag for flag in offered(f"iqa-jax {mode} --") if not flag.startswith("--config.")}
    assert flags - {"--help"} == {f"--{name}" for name in MODES[mode].flags}


def test_recipes_and_keys(offered):
    assert offered("iqa-jax check --config.data.manifest") >= {"--config.data.manifest"}
    assert not {key for key in offered("iqa-jax export --config.da") if key.startswith("--config")}
    if offered.shell != "zsh":  # There the recipes are in what its own function is told.
        found = {word.removeprefix("--config=") for word in offered("iqa-jax train --config=mos")}
        assert found == {"mos", "mos_finetune"}


def test_files(offered):
    assert "README.md" in offered("iqa-jax READ")
    if offered.shell != "zsh":
        found = offered("iqa-jax evaluate --workdir=weig")
        assert {word.removeprefix("--workdir=").rstrip("/") for word in found} == {"weights"}
