"""A folder of figures holds what its index lists, whatever was there before."""

import os
import shutil

import pandas as pd
import pytest

from input_pipeline.checks.audit import audit
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tiles.tiling import Tiling
from iqa_jax.modes import explain as explain_module
from iqa_jax.modes.explain import explain
from iqa_jax.modes.predict import predict
from iqa_jax.reporting.figure_folder import clear_folder
from iqa_jax.run.workdir import Workdir, WorkdirError


@pytest.fixture
def photos(tiny_manifest, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        shutil.copy(tiny_manifest.parent / f"scene{number}_0.png", folder / f"{number}.png")
    return folder


def listed(folder) -> set[str]:
    index = pd.read_csv(folder / "index.csv", keep_default_na=False)
    return {*index["figure"], *index["maps"], "index.csv"} - {""}


def test_another_start_leaves_no_figure_of_the_one_before(tiny_run, photos, tmp_path, monkeypatch):
    output = tmp_path / "explained"
    explain(Workdir(tiny_run), str(photos), str(output))
    assert {*os.listdir(output)} == listed(output) and len(listed(output)) == 7
    (photos / "0.png").unlink()
    (photos / "notes.md").write_text("no picture")
    (output / ".DS_Store").write_text("not ours, and not seen")
    write = explain_module._write_files

    def stop(target, *arguments):
        write(target, *arguments)
        if "_2" in target.name:
            raise KeyboardInterrupt

    monkeypatch.setattr(explain_module, "_write_files", stop)
    with pytest.raises(KeyboardInterrupt):
        explain(Workdir(tiny_run), str(photos), str(output))
    # Nothing says that the folder is whole.
    assert not (output / "index.csv").exists() and len(os.listdir(output)) == 6
    monkeypatch.setattr(explain_module, "_write_files", write)
    (photos / "1.png").unlink()
    explain(Workdir(tiny_run), str(photos), str(output))
    assert {*os.listdir(output)} == {*listed(output), ".DS_Store"} and len(listed(output)) == 3


def test_what_was_not_written_here_is_never_deleted(tiny_run, photos, tmp_path):
    before = sorted(photos.iterdir())
    with pytest.raises(WorkdirError, match=r"has not written \(0.png, 1.png, 2.png\)"):
        explain(Workdir(tiny_run), str(photos), str(photos))
    assert sorted(photos.iterdir()) == before
    output = tmp_path / "explained"
    explain(Workdir(tiny_run), str(photos), str(output))
    (output / "00009_mine.png").write_bytes(b"listed nowhere")
    before = sorted(output.iterdir())
    with pytest.raises(WorkdirError, match=r"has not written \(00009_mine.png\); give another"):
        explain(Workdir(tiny_run), str(photos), str(output))
    assert sorted(output.iterdir()) == before
    (output / "00009_mine.png").unlink()
    # Figures are pictures, and may be among the images.
    with pytest.raises(WorkdirError, match="--images has .*a figure of an earlier start"):
        explain(Workdir(tiny_run), str(output), str(output))
    assert listed(output) == {*os.listdir(output)}


@pytest.mark.parametrize("name", ["index.csv", "index.csv.part"])
def test_an_index_of_somebody_else_lists_nothing(tmp_path, name):
    (tmp_path / "00000_a.png").write_bytes(b"theirs")
    (tmp_path / name).write_text("figure,maps\n00000_a.png,\n")
    with pytest.raises(WorkdirError, match=f"00000_a.png, {name}"):
        clear_folder(tmp_path, [])
    # Nor does ours list what is elsewhere.
    (tmp_path.parent / "b.png").write_bytes(b"theirs")
    (tmp_path / name).write_text(
        "path,figure,maps,score,label,anomaly,tiles,error\na,00000_a.png,../b.png,1,,,1,\nb,00001_"
    )
    clear_folder(tmp_path, [])
    assert not os.listdir(tmp_path) and (tmp_path.parent / "b.png").exists()


def test_the_last_line_tells_what_was_passed_over(tiny_run, photos, tmp_path, capsys):
    (photos / "a.dng").write_bytes(b"x")
    predict(Workdir(tiny_run), str(photos), str(tmp_path / "scores.csv"))
    explain(Workdir(tiny_run), str(photos), str(tmp_path / "explained"))
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("1 other file passed over (.dng 1)") == 2
    assert lines[-1] == "1 other file passed over (.dng 1)"
    manifest = read_manifest(photos, LabelSpec(kind="ranking"))
    found = audit(manifest, tiling=Tiling(32, 32), max_pixels=10**6)
    assert found.warnings == ["1 other file passed over (.dng 1)"]


@pytest.mark.skipif(os.sep == "\\", reason="there it is right")
def test_a_path_of_windows_gets_a_hint(tiny_run, photos):
    with pytest.raises(WorkdirError, match="here, write /"):
        Workdir(r"runs\photos").config()
    with pytest.raises(WorkdirError, match="there is no folder.*here, write /"):
        predict(Workdir(tiny_run), str(photos), r"out\x/scores.csv")
