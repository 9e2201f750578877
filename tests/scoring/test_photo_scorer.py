"""The built-in scorer: the file it should be, and answers that make sense."""

import hashlib
import re
import runpy

import cv2
import numpy as np
import pytest
import skimage.data

import iqa_jax
from input_pipeline.distortions.catalogue import distort
from iqa_jax.models.encoders.pretrained import WEIGHTS_FOLDER
from iqa_jax.run.packed import DEFAULT_SCORER, open_run
from iqa_jax.run.seen import seen_by
from tiny import ROOT

CARD = (WEIGHTS_FOLDER / f"{DEFAULT_SCORER}.md").read_text()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("name", [DEFAULT_SCORER, "photo_scorer_live"])
def test_the_card_is_of_this_file(name):
    content = (WEIGHTS_FOLDER / f"{name}.safetensors").read_bytes()
    card = (WEIGHTS_FOLDER / f"{name}.md").read_text()
    assert hashlib.sha256(content).hexdigest() in card
    assert f"{len(content):,} bytes" in card and len(content) <= 15_000_000


def test_the_other_scorer_has_seen_one_set_alone():
    seen = seen_by(open_run("photo_scorer_live")).rows
    trained = seen[seen["split"] == "train"]
    assert len(trained) == 425 and not trained["name"].str.contains("/biq2021/|^biq2021/").any()


def test_the_file_says_what_the_card_says_of_it():
    run = open_run("")
    config, seen = run.config(), seen_by(run)
    assert config.data.maximum == 100 and config.data.higher_is_better
    assert config.tiles.reference_side == 512 and config.tiles.size == 256
    # Once for each of the two steps.
    trained = seen.rows[seen.rows["split"] == "train"]["name"].drop_duplicates()
    sets = trained.str.extract("^(?:(biq2021|degraded)/)?", expand=False).fillna("live")
    assert sets.value_counts().to_dict() == {"biq2021": 10_000, "degraded": 1500, "live": 425}
    assert re.search(r"\b425 photographs.*\b10,000.*\b1,500 pictures", CARD, re.DOTALL)
    # Nothing says where they lay.
    assert not seen.rows[["folder", "place"]].to_numpy(str).any()


@pytest.mark.usefixtures("one_device")
def test_faults_cost_and_size_does_not():
    photo = skimage.data.astronaut()
    large = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_LANCZOS4)
    rng = np.random.default_rng(0)
    bad = [distort(photo, name, 5, rng) for name in ("gaussian_blur", "white_noise", "jpeg")]
    table = iqa_jax.load_scorer().score([photo, large, *bad])
    clean, from_large, *spoilt = table["score"]
    assert all(score < clean - 10 for score in spoilt)
    assert abs(from_large - clean) < 5
    assert (table["lower"] < table["score"]).all() and (table["score"] < table["upper"]).all()
    assert table["tiles"].tolist() == [4] * 5


@pytest.mark.usefixtures("one_device")
def test_the_picture_of_the_readme_has_the_scores_that_are_told():
    make = runpy.run_path(str(ROOT / "docs/result.py"))["make_photograph"]
    scores = iqa_jax.load_scorer().score([make(is_blurred=True), make(is_blurred=False)])["score"]
    readme = " ".join((ROOT / "README.md").read_text().split())
    told = re.search(r"blurred: (\d+) of 100 points, where the sharp photograph has (\d+)", readme)
    assert list(scores) == pytest.approx([int(number) for number in told.groups()], abs=0.6)
