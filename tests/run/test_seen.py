"""What a run has learnt from is known later, whatever has become of manifests and other runs."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from configs import default
from input_pipeline.checks.leaks import identify_images
from iqa_jax.modes.evaluate import evaluate_run
from iqa_jax.run import build
from iqa_jax.run.config import config_to_json
from iqa_jax.run.seen import seen_before, seen_by, write_seen
from iqa_jax.run.workdir import Workdir


def list_images(path, names, levels, split):
    """Writes a manifest and its images; equal levels are equal files."""
    for name, level in zip(names, levels, strict=True):
        cv2.imwrite(str(path.parent / name), np.full((8, 8, 3), level, np.uint8))
    pd.DataFrame({"path": names, "label": "bad", "split": split}).to_csv(path, index=False)
    return path


def identify(config, path):
    manifest = build.manifest_from_config(config, path)
    return identify_images(manifest, build.source_from_config(config, manifest))


@pytest.fixture
def begin(tmp_path):
    """Makes the workdir of a run on three images of its own, of which the last is tested."""

    def begin(name: str, first: int, keeps: bool = True, **model):
        folder = tmp_path / f"images_{name}"
        folder.mkdir()
        numbers = range(first, first + 3)
        path = list_images(
            folder / "m.csv", [f"{n}.png" for n in numbers], numbers, ["train", "val", "test"]
        )
        config, workdir = default.get_config(), Workdir(tmp_path / name)
        config.data.manifest = str(path)
        config.model.update(model)
        workdir.folder.mkdir()
        workdir.write_text("config.json", config_to_json(config))
        workdir.write_text("manifest.json", json.dumps({"path": str(path)}))
        if keeps:
            write_seen(workdir, config, identify(config, path))
        return workdir

    return begin


def names_seen(workdir, tmp_path):
    """Asks about copies of images 0 to 19 under other names."""
    folder = tmp_path / "copies"
    folder.mkdir(exist_ok=True)
    path = list_images(folder / "copies.csv", [f"copy{n}.png" for n in range(20)], range(20), "all")
    images = identify(default.get_config(), path)
    return np.flatnonzero(seen_by(workdir).among(images)).tolist()


@pytest.mark.parametrize("keeps", [True, False])
def test_all_that_a_run_builds_on_counts(begin, tmp_path, keeps):
    first = begin("first", 0, keeps)
    second = begin("second", 4, keeps, weights=str(first.folder))
    other = begin("other", 8, keeps)
    third = begin("third", 12, keeps, weights=str(second.folder), ensemble=(str(other.folder),))
    # Train and val of each; what each is tested on is not learnt from.
    expected = [0, 1, 4, 5, 8, 9, 12, 13]
    assert names_seen(third, tmp_path) == expected
    assert len(seen_before(third.config()).learnt) == 6
    assert seen_by(third).gone == ()
    for workdir in (first, second, other):
        shutil.rmtree(workdir.folder)
        shutil.rmtree(tmp_path / f"images_{workdir.folder.name}")
    shutil.rmtree(tmp_path / "images_third")
    if keeps:
        assert names_seen(third, tmp_path) == expected
        learnt = seen_by(third).learnt
        runs = ["", first.folder, second.folder, other.folder]
        assert set(learnt["run"]) == set(map(str, runs))
        return
    # A workdir from before such lists were kept says what it cannot tell.
    assert names_seen(third, tmp_path) == []
    assert seen_by(third).gone == (
        f"the run {other.folder} is gone",
        f"the run {second.folder} is gone",
        f"{tmp_path / 'images_third' / 'm.csv'}, which trained {third.folder}, is gone",
    )


def test_a_run_that_goes_on_keeps_the_list_that_it_began_with(begin, tmp_path, monkeypatch):
    run = begin("run", 0)
    kept = (run.folder / "seen.csv.gz").read_bytes()
    other = identify(default.get_config(), tmp_path / "images_run" / "m.csv").iloc[:1]
    monkeypatch.setattr(type(run.last), "steps", [7])
    write_seen(run, run.config(), other)
    assert (run.folder / "seen.csv.gz").read_bytes() == kept
    monkeypatch.setattr(type(run.last), "steps", [])
    write_seen(run, run.config(), other)
    assert len(seen_by(run).rows) == 1


def test_a_damaged_list_is_left_out(begin, tmp_path, capsys):
    run = begin("run", 0)
    (run.folder / "seen.csv.gz").write_bytes(b"\x1f\x8b no more")
    assert names_seen(run, tmp_path) == [0, 1]
    assert "seen.csv.gz is damaged" in capsys.readouterr().out


def test_training_keeps_the_list(tiny_run, tiny_manifest):
    seen, table = seen_by(Workdir(tiny_run)), pd.read_csv(tiny_manifest)
    assert seen.rows["name"].tolist() == table["path"].tolist()
    assert seen.rows["split"].tolist() == table["split"].tolist()
    assert seen.learnt["content"].nunique() == 35
    again = seen_by(Workdir(tiny_run)).rows
    pd.testing.assert_frame_equal(again, seen.rows)


def test_copies_of_training_images_flatter_no_figure(tiny_run, tiny_manifest, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    about = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(about | {"path": str(tmp_path / "gone.csv")}))
    table = pd.read_csv(tiny_manifest)
    copied = table[table["split"] == "train"].head(24)
    new = table[table["split"] == "test"]
    rows = []
    for number, row in enumerate(pd.concat([copied, new]).itertuples()):
        name = f"new_{number}.png"
        image = (tiny_manifest.parent / row.path).read_bytes()
        if row.split == "test":  # Other bytes of other pixels.
            pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
            image = cv2.imencode(".png", 255 - pixels)[1].tobytes()
        (tmp_path / name).write_bytes(image)
        rows.append((name, row.label, f"new{number}", row.exposure, row.split))
    columns = ["path", "label", "group", "exposure", "split"]
    manifest = tmp_path / "other.csv"
    pd.DataFrame(rows, columns=columns).replace("train", "extra").to_csv(manifest, index=False)
    found = evaluate_run(Workdir(run), manifest_path=str(manifest))
    assert found["extra"]["rows"] == found["extra"]["seen_in_training"] == 24
    assert "WARNING: 24 images of extra trained this run" in capsys.readouterr().out
    fitted = {"three_class", "coverage", "abstained", "out_of_domain"}
    assert not fitted & set(found["extra"])
    assert "fitted_on" not in found["extra"]["calibration"]
    assert "seen_in_training" not in found["test"]
    assert fitted <= set(found["test"]) and "fitted_on" in found["test"]["calibration"]
    (report,) = run.glob("evaluation_other_*/report.md")
    assert "24 images of extra trained this run" in report.read_text()
