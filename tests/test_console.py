"""`iqa-jax`: its words become the flags of main.py, and what is wrong ends in a sentence."""

import os
import sys

import pytest

from iqa_jax import command_line, console
from iqa_jax.mode_flags import MODES
from programs import run_program
from tiny import ROOT

_START = "import sys; sys.argv[0] = 'iqa-jax'; from iqa_jax.console import main; main()"


def run_console(*words: str, **options):
    return run_program([sys.executable, "-c", _START, *words], check=False, **options)


@pytest.fixture
def started(monkeypatch):
    """Calls the console; gives the flags that main.py would get, and what runs with them."""
    calls = []

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["/somewhere/bin/iqa-jax", *words])
        monkeypatch.setattr(console, "run_program", lambda *run: calls.append((sys.argv[1:], *run)))
        console.main()
        return calls.pop()

    return call


def test_the_first_word_is_the_mode(started):
    for mode in MODES:
        assert started(mode, "--workdir=x", "--profile") == (
            [f"--mode={mode}", "--workdir=x", "--profile"],
        )
    assert started("compare-runs") == (["--mode=compare_runs"],)


def test_a_place_is_scored_into_a_page_unless_one_says_where(started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "train").mkdir()
    page = "--output=scores.html"
    for place in ("photos", "photos/", "new/**/*.jpg", "~", "train/"):
        given, run = started(place, "--deduplicate")
        assert given == ["--mode=predict", f"--images={place}", page, "--deduplicate"]
        assert run is console._score
    for output in (["--output=a.csv"], ["--output", "a.csv"], ["-output=a.csv"]):
        given, _ = started("photos", *output)
        assert given == ["--mode=predict", "--images=photos", *output]


def test_the_command_is_written_as_people_give_it(monkeypatch):
    argv = ["/somewhere/bin/iqa-jax", "--mode=predict", "--images=my photos"]
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line.as_typed() == "iqa-jax predict '--images=my photos'"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trian"], "Did you mean iqa-jax train? See iqa-jax --help."),
        (["nowhere"], "nowhere is no mode, and there is no folder or file of this name."),
        (["README.md", "main.py"], "Put a pattern in quotes"),
        (["--workdir=x"], "the first word is a mode, or what to score"),
        (["train", "--mode=check"], "the mode is the first word"),
        (["--mode=check"], "the mode is the first word"),
        (["completion"], "iqa-jax completion bash, one of: bash, zsh, fish."),
        (["completion", "tcsh"], "iqa-jax completion bash, one of: bash, zsh, fish."),
        (["train"], "iqa-jax train needs --config=RECIPE and --workdir=RUN. See iqa-jax train --h"),
        (["evaluate"], "iqa-jax evaluate needs --workdir, or --manifest with your labels."),
        (["check", "--config=mos", "--profile"], "iqa-jax check has no use for --profile."),
        (["check", "--config=mos", "word"], "I do not know what to do with word."),
        (["check", "--config=mos", "--wordir=x"], "Did you mean: workdir"),
    ],
)
def test_a_wrong_word_ends_in_a_sentence(words, sentence):
    done = run_console(*words, cwd=ROOT)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and sentence in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1


def test_help_imports_nothing_heavy():
    for words in ([], ["--help"], ["train", "--help"], ["completion", "bash"]):
        done = run_program([sys.executable, "-X", "importtime", "-c", _START, *words])
        lines = done.stderr.splitlines()
        imported = {line.rpartition("|")[2].strip().split(".")[0] for line in lines}
        assert "iqa_jax" in imported
        assert not imported & {"jax", "flax", "tensorflow", "numpy", "pandas", "matplotlib"}


@pytest.mark.parametrize("output", ["scores.html", "mine.csv"])
def test_the_lowest_scores_are_printed(output, tiny_run, tiny_manifest, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("scene0_0.png", "scene0_1.png"):
        (photos / name).write_bytes((tiny_manifest.parent / name).read_bytes())
    (photos / "broken.png").write_bytes(b"")
    given = [] if output == "scores.html" else [f"--output={output}"]
    done = run_console(
        "photos", f"--workdir={tiny_run}", *given, cwd=tmp_path,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    table = "scores.csv" if output == "scores.html" else output
    assert (tmp_path / output).is_file() and (tmp_path / table).is_file()
    lines = done.stdout.splitlines()
    shown = [line.split()[-1] for line in lines[lines.index("The lowest scores:") + 2 : -1]]
    assert sorted(shown) == ["photos/scene0_0.png", "photos/scene0_1.png"]
    assert lines[-1].endswith(f"The table: {table}.")
    assert ("A page to look at: scores.html." in lines[-1]) == (output == "scores.html")
