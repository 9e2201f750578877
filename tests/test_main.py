"""The command line: what it refuses, in which words, and what it returns."""

import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from iqa_jax.command_line import find_recipe
from programs import run_program
from tiny import ROOT


@pytest.fixture
def run_main(start_main):
    def run(*arguments):
        process = start_main(*arguments)
        output, errors = process.communicate(timeout=300)
        assert "Traceback" not in errors, errors
        return process.returncode, output, errors

    return run


def test_help_costs_nothing():
    done = run_program([sys.executable, "-X", "importtime", "main.py", "--help"], check=False)
    assert "--workdir" in done.stdout and "--mode=predict" in done.stdout
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "ml_collections" in imported
    assert not imported & {"jax", "flax", "tensorflow", "numpy", "pandas", "matplotlib"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config.tiles.siz=64"], """there is no key 'siz' Did you mean "size" """),
        (["--config.data.threads=2"], "data.threads is now host.threads."),
        (["--config.loss.gce_q", "0.5"], "loss.gce_q is now loss.gce.q."),
        (["--config.optimizer.encoder_weight_decay=0"], "is gone: it is 0.001 in every run."),
        (["--config.batch_size=many"], "batch_size"),
        (["--config=configs/nowhere.py"], "configs/nowhere.py: there is no such file. The recipes"),
        (["--workdirr=x"], "workdir"),
        (["--mode=trian"], "train"),
        (["a_word"], "I do not know what to do with a_word"),
        ([], "--mode=train needs --workdir=RUN. See python"),
        (["--mode=check", "--profile"], "--mode=check has no use for --profile"),
    ],
)
def test_a_wrong_argument_is_refused_in_a_sentence(run_main, arguments, sentence):
    code, output, errors = run_main("--config=configs/default.py", *arguments)
    assert code not in (0, 3)
    assert sentence in output + errors


def test_a_recipe_is_the_file_else_the_installed_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = str(ROOT / "configs/mos.py")
    assert find_recipe("mos") == find_recipe("configs/mos.py") == ours
    # Nothing is guessed from a part of a path.
    for path in ("mine/mos.py", "mos.py", "configs/mine.py", "mine", "/configs/mos.py", ""):
        assert find_recipe(path) == path
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/mos.py").touch()
    assert find_recipe("configs/mos.py") == "configs/mos.py" and find_recipe("mos") == ours


def test_a_wrong_run_is_refused_in_a_sentence(run_main, tiny_run, tmp_path):
    code, _, errors = run_main(
        "--config=configs/default.py",
        f"--workdir={tmp_path / 'run'}",
        f"--config.data.manifest={tmp_path / 'nowhere.csv'}",
    )
    assert code == 1 and "nowhere.csv" in errors and "no such file" in errors
    assert not (tmp_path / "run").exists()
    code, _, errors = run_main("--mode=evaluate", f"--workdir={tiny_run}", "--split=tset")
    assert code == 1 and "there is no split 'tset'" in errors and "'test'" in errors


def test_predicting_a_folder_with_bad_files(run_main, tiny_run, tiny_manifest, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    whole = (tiny_manifest.parent / "scene0_0.png").read_bytes()
    (photos / "a.png").write_bytes(whole)
    (photos / "b.png").write_bytes(whole[: len(whole) // 2])
    (photos / "c.jpg").write_bytes(b"")
    (photos / "d.jpg").write_text("no image")
    cv2.imwrite(str(photos / "e.png"), np.full((1, 1, 3), 90, np.uint8))
    output = tmp_path / "scores.csv"
    code, said, errors = run_main(
        "--mode=predict", f"--workdir={tiny_run}", f"--images={photos}/*", f"--output={output}"
    )
    assert code == 3, errors
    assert "5 images scored, 3 with an error instead" in said
    table = pd.read_csv(output)
    assert [path[-5:] for path in table["path"]] == ["a.png", "b.png", "c.jpg", "d.jpg", "e.png"]
    np.testing.assert_array_equal(table["error"].isna(), [True, False, False, False, True])
    np.testing.assert_array_equal(table["score"].isna(), table["error"].notna())
