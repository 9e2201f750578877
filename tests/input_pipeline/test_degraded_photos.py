"""The set of degraded photographs: even draws, falling scores, and pictures as they are called."""

import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from input_pipeline import degraded_photos
from input_pipeline.degraded_photos import WORST, Version, draw_versions, score_of
from input_pipeline.distortions.catalogue import DISTORTIONS, LEVELS
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest


def test_scores_fall_with_the_level_of_every_kind():
    assert set(WORST) <= set(DISTORTIONS)
    for kind in WORST:
        scores = [1.0, *(score_of(Version(kind, level)) for level in LEVELS)]
        assert all(a > b for a, b in zip(scores, scores[1:], strict=False))
    assert score_of(Version("gaussian_blur", 5)) == 0
    assert score_of(Version("impulse_noise", 5)) == pytest.approx(0.4)


def test_versions_of_a_photograph_differ_in_kind_and_all_are_as_frequent():
    drawn = draw_versions(140, 5, seed=0)
    assert all(len({version.kind for version in own}) == 5 for own in drawn)
    counts = pd.Series([version for own in drawn for version in own]).value_counts()
    assert len(counts) == len(WORST) * len(LEVELS) and set(counts) <= {9, 10, 11}
    assert drawn == draw_versions(140, 5, seed=0) != draw_versions(140, 5, seed=1)


@pytest.fixture
def manifest(tmp_path):
    """Three good photographs, of which one cannot be read, a bad one, and one to test on."""
    rng = np.random.default_rng(0)
    rows = ["path,mos,split"]
    for number, (mos, split) in enumerate(
        [(0.9, "train"), (0.8, "train"), (0.7, "train"), (0.2, "train"), (0.9, "test")]
    ):
        noise = cv2.GaussianBlur(rng.uniform(0, 255, (600, 1200, 3)), (0, 0), 4)
        picture = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        rows.append(f"{number}.png,{mos},{split}")
    (tmp_path / "2.png").write_bytes(b"no picture")
    path = tmp_path / "photos.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def run(monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", ["degraded_photos", *map(str, flags)])
    degraded_photos.main()


def test_the_set_is_what_its_table_says(manifest, tmp_path, monkeypatch, capsys):
    output = tmp_path / "degraded"
    flags = (f"--manifest={manifest}", "--least=0.5", f"--output={output}", "--versions=3")
    run(monkeypatch, *flags)
    assert "left out: " in capsys.readouterr().out
    table = pd.read_csv(output / "manifest.csv", keep_default_na=False)
    assert sorted(table["group"]) == sorted(4 * ["0.png"] + 4 * ["1.png"])
    for row in table.itertuples():
        picture = cv2.imread(str(output / row.path))
        assert picture.shape == (512, 1024, 3)
        photo = cv2.resize(
            cv2.imread(str(manifest.parent / row.group)), (1024, 512), interpolation=cv2.INTER_AREA
        )
        assert (picture == photo).all() == (row.level == 0) == (row.mos == 1)
        if row.level:
            assert row.mos == pytest.approx(score_of(Version(row.kind, row.level)), abs=1e-4)
    # It trains as it is.
    label = LabelSpec("numeric", "mos", (), "", 0.0, 1.0)
    assert len(read_manifest(output / "manifest.csv", label).split("train")) == 8
    first = {path.name: path.read_bytes() for path in (output / "images").iterdir()}
    run(monkeypatch, *flags)
    assert {path.name: path.read_bytes() for path in (output / "images").iterdir()} == first


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--least=0.95"], "no image of 'train' has mos of 0.95 or more"),
        (["--least=0.5", "--label=score"], "it has no column 'score'; give --label=COLUMN"),
        (["--least=0.5", "--versions=0"], "--versions is 0; give a number from 1 to 14"),
    ],
)
def test_what_cannot_be_made_is_said(manifest, tmp_path, monkeypatch, capsys, flags, sentence):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, f"--manifest={manifest}", f"--output={tmp_path / 'degraded'}", *flags)
    assert stopped.value.code != 0
    assert sentence in capsys.readouterr().err
