"""Scoring needs the package's own dependencies; what else is missing is named with its extra."""

import re
import sys
import tomllib

import pytest

from input_pipeline.extras import EXTRAS, MissingExtraError, extra
from programs import run_program
from tiny import ROOT

ABOUT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Not in requirements.txt: Beam wants older releases than the rest, and few have HEIC images.
APART = ("beam", "heif", "onnx")


def lines_of(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return {line.replace('"', "'") for line in lines if line and not line.startswith("#")}


def asked_by(name: str) -> set[str]:
    """Lists what an extra asks for besides other extras."""
    return {line.replace('"', "'") for line in ABOUT[name] if not line.startswith("iqa_jax[")}


def test_every_extra_has_a_sentence():
    assert set(EXTRAS) == set(ABOUT)
    own = {line for lines in ABOUT.values() for line in lines if line.startswith("iqa_jax[")}
    assert own <= {f"iqa_jax[{name}]" for name in ABOUT}


def test_the_whole_is_what_scoring_needs_and_all_extras():
    extras = set().union(*(asked_by(name) for name in ABOUT if name not in APART))
    assert lines_of("requirements.txt") == lines_of("requirements-score.txt") | extras


def test_a_missing_package_is_named_with_its_extra_and_other_errors_pass(monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(MissingExtraError, match=r"needs grain, .*pip install 'iqa_jax\[train\]'"):
        with extra("train"):
            import grain.python  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'nobody'") as raised:
        with extra("train"):
            from json import nobody  # noqa: F401
    assert not isinstance(raised.value, MissingExtraError)


# Arguments: workdir, manifest, image, an empty folder. Runs without the packages of all extras.
LIGHT = """
import sys
from importlib.machinery import PathFinder
from pathlib import Path

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        is_missing = name.partition(".")[0] in MISSING
        return None if is_missing else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
workdir, manifest, image, folder = sys.argv[1:]

import iqa_jax
from input_pipeline.extras import MissingExtraError
from input_pipeline.files.heif import find_reader
from input_pipeline.tables.table_files import read_table
from iqa_jax.modes.evaluate import evaluate
from iqa_jax.modes.explain import explain
from iqa_jax.modes.predict import predict
from iqa_jax.problems import PROBLEMS
from iqa_jax.run.workdir import Workdir

run = Workdir(workdir)
assert iqa_jax.load_scorer(workdir).score([image])["score"].notna().all()
assert predict(run, image, f"{folder}/scores.html") == 0
assert explain(run, image, f"{folder}/maps") == 0
assert evaluate(run, "", manifest, "") == 0

def attempt(what, run):
    try:
        run()
    except PROBLEMS + (LookupError,) as error:
        print(what, "|", error)

def training():
    import iqa_jax.modes.train

def preparing():
    import iqa_jax.modes.prepare

def building():
    import input_pipeline.datasets.builders

attempt("train", training)
attempt("prepare", preparing)
attempt("tfds", building)
attempt("parquet", lambda: predict(run, image, f"{folder}/scores.parquet"))
attempt("parquet", lambda: read_table(Path(folder, "maps").with_suffix(".parquet")))
attempt("heif", lambda: find_reader(bytes(4) + b"ftypheic" + bytes(40)))
from iqa_jax.training.curves import Curves
print("tensorboard |", end="")
Curves(Workdir(folder)).write(1, {"loss": 1.0})
"""
# What importing the extras' packages imports: theirs are other names than pip's.
MISSING = {
    *("apache_beam", "array_record", "cleanlab", "clu", "grain", "openpyxl", "pillow_heif"),
    *("pyarrow", "skimage", "sklearn", "tensorboard", "tensorflow", "tensorflow_datasets"),
}


def test_without_the_extras_everything_but_their_work_is_done(tiny_run, tiny_manifest, tmp_path):
    image = tiny_manifest.parent / "scene0_0.png"
    done = run_program(
        [sys.executable, "-c", f"MISSING = {MISSING!r}\n{LIGHT}",
         *map(str, (tiny_run, tiny_manifest, image, tmp_path))],
    )  # fmt: skip
    said = done.stdout.splitlines()
    sentences = [line.partition(" |") for line in said if re.match(r"\w+ \|", line)]
    names = [name for name, _, _ in sentences]
    assert names == ["train", "prepare", "tfds", "parquet", "parquet", "heif", "tensorboard"]
    for name, _, sentence in sentences:
        assert f"pip install 'iqa_jax[{name}]'" in sentence, sentence
    assert sum("the report is without its map of images" in line for line in said) == 1
    assert (tmp_path / "scores.html").exists() and not (tmp_path / "scores.parquet").exists()
    assert '"loss": 1.0' in (tmp_path / "history.jsonl").read_text()
