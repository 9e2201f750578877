"""The installed package, used from a folder with `configs/` and `input_pipeline.py` of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pandas as pd
import pytest

from tiny import ROOT, TINY

# What the wheel is made of.
SOURCES = ("configs", "input_pipeline", "iqa_jax", "weights", "LICENSE", "README.md",
           "pyproject.toml", "requirements-score.txt")  # fmt: skip


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> str:
    """The interpreter of an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, source / name)
    interpreter = str(folder / "environment/bin/python")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    for command in (
        [*pip, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(source)],
        [sys.executable, "-m", "venv", "--without-pip", str(folder / "environment")],
    ):
        subprocess.run(command, check=True)
    (packages,) = (folder / "environment").glob("lib/python*/site-packages")
    # Everything else is what the tests themselves run with.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (wheel,) = folder.glob("*.whl")
    subprocess.run(
        [*pip, "--python", interpreter, "install", "--no-deps", "--no-index", str(wheel)],
        check=True,
    )
    return interpreter


@pytest.fixture(scope="module")
def users_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("users")
    (folder / "configs").mkdir()
    (folder / "configs/__init__.py").touch()
    (folder / "configs/default.py").write_text("raise SystemExit('theirs')\n")
    (folder / "input_pipeline.py").write_text("NAME = 'theirs'\n")
    return folder


@pytest.fixture(scope="module")
def run(python, users_folder):
    """Runs Python in the user's folder; gives what it printed."""

    def run_here(*arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [python, *arguments],
            cwd=users_folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_here


@pytest.fixture(scope="module")
def workdir(run, tiny_manifest, tmp_path_factory):
    """A run of two steps."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    keys = TINY | {"batch_size": 48, "data.features": (), "evaluate_every_epochs": 1}
    keys["data.manifest"] = str(tiny_manifest)
    flags = [f"--config.{key}={value}" for key, value in keys.items()]
    run("-m", "iqa_jax", "--config=default", f"--workdir={folder}", *flags)
    return folder


def test_it_trains_scores_and_explains(run, workdir, tiny_manifest):
    assert '"step": 2' in (workdir / "metrics.json").read_text()
    assert "python -m iqa_jax --config=default" in (workdir / "report.md").read_text()
    said = run(
        "-c",
        "import sys, iqa_jax\n"
        "workdir, image = sys.argv[1:]\n"
        "print(iqa_jax.load_scorer(workdir).score([image])['score'].notna().all())\n"
        "print(iqa_jax.load_explainer(workdir).explain(image).maps.grad_cam.ndim)\n",
        str(workdir),
        str(tiny_manifest.parent / "scene0_0.png"),
    )
    assert said.split()[-2:] == ["True", "2"]


def test_the_scorer_that_comes_along_answers_from_there(run, users_folder, tiny_manifest):
    images = str(tiny_manifest.parent / "scene0_[01].png")
    run("-m", "iqa_jax", "--mode=predict", f"--images={images}", "--output=scores.html")
    table = pd.read_csv(users_folder / "scores.csv")
    assert table["score"].between(0, 100).all() and len(table) == 2
    # The second is the first scene, blurred.
    assert table["score"][0] > table["score"][1]
    assert "scene0_0.png" in (users_folder / "scores.html").read_text()


def test_the_command_scores_a_folder_and_says_where(python, run, users_folder, tiny_manifest):
    photos = users_folder / "photos"
    photos.mkdir()
    for number in range(2):
        shutil.copy(tiny_manifest.parent / f"scene0_{number}.png", photos)
    said = run(str(Path(python).with_name("iqa-jax")), "photos/")
    lines = said.splitlines()
    header = lines.index("The lowest scores:") + 1
    assert lines[header].split()[0] == "score" and lines[header].split()[-1] == "path"
    # The second is the first scene, blurred.
    assert [line.split()[-1] for line in lines[header + 1 : header + 3]] == [
        "photos/scene0_1.png",
        "photos/scene0_0.png",
    ]
    assert lines[-1] == "A page to look at: scores.html. The table: scores.csv."
    assert (users_folder / "scores.html").is_file() and (users_folder / "scores.csv").is_file()


def test_python_in_that_folder_finds_our_packages_and_weights(run):
    assert run("-c", "import iqa_jax, configs.mos, input_pipeline.tiles as tiles\nprint(tiles)")
    said = run(
        "-c",
        "import input_pipeline, configs\n"
        "from iqa_jax.models.encoders.pretrained import load_pretrained\n"
        "from iqa_jax.run.config import default\n"
        "from input_pipeline.tiles.tiling import Tiling\n"
        "print(input_pipeline.NAME, default.get_config().batch_size)\n"
        "print(len(load_pretrained()['params']))\n",
    )
    # What the program had imported of its own before stays with it.
    assert said.split() == ["theirs", "32", "52"]


def test_type_checkers_find_its_annotations_and_names(run):
    said = run(
        "-c",
        "from importlib.resources import files\n"
        "from iqa_jax import *\n"
        "for name in ('iqa_jax', 'input_pipeline'):\n"
        "    print(files(name).joinpath('py.typed').is_file())\n"
        "print(load_scorer.__name__, load_explainer.__name__)\n",
    )
    assert said.split() == ["True", "True", "load_scorer", "load_explainer"]


PROCESSES = """
import multiprocessing
import iqa_jax
from input_pipeline.tiles.tiling import Tiling

if __name__ == "__main__":
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.apply(getattr, (Tiling(16, 16), "size")))
"""


def test_processes_started_there_find_our_packages(run, users_folder):
    (users_folder / "script.py").write_text(PROCESSES)
    assert run("script.py").split() == ["16", "16"]


WORKER = """
import grain
import iqa_jax
from input_pipeline.tiles.tiling import Tiling
from input_pipeline.batches.worker_batches import WorkerBatches

batches = WorkerBatches(grain.MapDataset.source([Tiling(32, 32, "shift")]), workers=1)
print(next(batches))
batches.close()
"""


def test_a_worker_of_a_program_without_a_file_finds_our_packages(run):
    assert run("-c", WORKER)
