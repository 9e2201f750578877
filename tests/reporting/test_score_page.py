"""The page of scored images: what it counts, whom it shows, and what names and lengths do to it."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from skimage import data

from browser import dump, needs_browser
from input_pipeline.batches.listing import Input
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tiling import Tiling
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.reporting.score_page import write_scores
from report_page import Page

MOS = KINDS["numeric"](minimum=0.0, maximum=100.0)
DMOS = KINDS["numeric"](minimum=0.0, maximum=100.0, higher_is_better=False)
EVIL = "<script>alert('$x')</script>&\"`|\udcff.png"


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


def row(path, score, **more):
    found = {"sharpness": 0.5, "noise": 1.0, "exposure": -0.5, "blockiness": 1.0, "fault": ""}
    about = {"label": "", "lower": None, "upper": None, "error": "", "tile_scores": [score] * 4}
    return {"path": path, "score": score, **about, **found, **more}


def failed(path, error):
    return row(path, None, error=error, sharpness=None, noise=None, exposure=None)


def write(folder, rows, photo, kind=MOS) -> str:
    path = folder / "scores.html"

    def source_of(pictures):
        return TileSource(pictures, Tiling(size=256, stride=256), max_pixels=10**7)

    inputs = (Input(str(one["path"]), photo) for one in rows)
    write_scores(path, lambda: iter(rows), inputs, source_of, kind, "scores.csv")
    return path.read_text(encoding="utf-8")


def listed(page) -> list:
    return json.loads(re.search(r'id="rows">(.*?)</script>', page, re.DOTALL)[1])


def galleries(page) -> list[list[str]]:
    """Gives the names of each gallery's images."""
    return [re.findall(r'class="name">(.*?)<', part) for part in page.split('<h3>')[1:]
            if "example" in part]  # fmt: skip


def test_counts_order_and_folders(tmp_path, photo):
    order = np.random.default_rng(0).permutation(100)
    rows = [row(f"all/{'low' if n < 50 else 'high'}/{n}.png", float(n)) for n in order]
    rows[3:3] = [failed("all/bad.png", "all/bad.png: not an image.")]
    rows[7].update(lower=1.5, upper=9.5)
    page = write(tmp_path, rows, photo)
    text = " ".join(Page(page).texts)
    assert "1 image could not be read" in text and "all/bad.png: not an image." in text
    names = [name for name, *_ in listed(page)]
    assert names == [f"{'low' if n < 50 else 'high'}/{n}.png" for n in range(100)]
    worst, best = galleries(page)
    assert worst == names[:24] and best == names[:-25:-1]
    assert page.count('src="data:') + page.count('<image href="data:image/jpeg') == 48
    for value in ("49.50", "0.000", "99.00", "24.50", "74.50"):  # Of all, and medians of folders.
        assert re.search(rf">{value}<", page), value


def test_where_low_is_good_the_highest_is_the_worst(tmp_path, photo):
    page = write(tmp_path, [row(f"{n}.png", float(n)) for n in (3, 1, 2)], photo, DMOS)
    assert [name for name, *_ in listed(page)] == ["3.png", "2.png", "1.png"]
    assert galleries(page) == [["3.png", "2.png"], ["1.png"]]
    assert "Scores run from 100.0, bad, to 0.000, good." in page


def test_the_worst_have_their_fault_and_what_was_measured(tmp_path, photo):
    rows = [
        row("a.png", 1.0, fault="blurred", sharpness=0.04, lower=0.5, upper=3.0),
        row("b.png", 2.0, blockiness=None),
        row("c.png", 3.0, fault="dark"),
    ]
    page = write(tmp_path, rows, photo)
    interval = "interval 0.500 to 3.000 · "
    measured = "noise 1.00 · exposure -0.50"
    assert f"{interval}probably blurred · sharpness 0.04 · {measured} · blockiness 1.00" in page
    assert f"unclear what is wrong · sharpness 0.50 · {measured}<br>" in page
    assert "probably dark" not in page  # It is the best.
    assert [one[-1] for one in listed(page)] == ["blurred", "", "dark"]


def test_names_are_text(tmp_path, photo):
    rows = [row(EVIL, 5.0), row("&amp;.png", 6.0), failed(EVIL, f"{EVIL}: <b>not</b> an image")]
    page = write(tmp_path, rows, photo)
    assert "<script>alert" not in page and "<b>not" not in page
    assert [name for name, *_ in listed(page)] == [EVIL, "&amp;.png"]
    read = Page(page)
    assert sum(tag == "script" for tag, _ in read.tags) == 2
    # Nothing of other places, and no script but the page's own.
    assert all(link.startswith(("data:", "#")) for link in read.links)
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy


@pytest.mark.parametrize(("good", "bad"), [(0, 0), (0, 3), (1, 0)])
def test_short_lists(tmp_path, photo, good, bad):
    rows = [row(f"{n}.png", 50.0) for n in range(good)]
    rows += [failed(f"bad{n}.png", "not an image") for n in range(bad)]
    page = write(tmp_path, rows, photo)
    Page(page)
    assert len(galleries(page)) == good
    assert ('id="rows"' in page) == (good > 0)
    assert page.count("not an image") == bad


def test_an_image_that_has_gone_has_its_row(tmp_path):
    page = write(tmp_path, [row("gone.png", 50.0)], tmp_path / "gone.png")
    assert galleries(page) == [["gone.png"]]


def test_long_lists_stay_small(tmp_path, photo):
    rows = [row(f"folder{n % 300}/{'x' * 80}{n}.png", n / 40) for n in range(4000)]
    rows += [failed(f"bad{n}.png", "not an image") for n in range(500)]
    page = write(tmp_path, rows, photo)
    assert len(page) < 3e6
    assert len(listed(page)) == 4000
    assert "And 300 more; scores.csv names them all." in page
    assert "200 more are left out" in page


def test_the_longest_lists_are_cut(tmp_path, photo):
    page = write(tmp_path, [row(f"{n}.png", n / 100) for n in range(6000)], photo)
    assert len(listed(page)) == 5000
    assert "The 5000 worst of 6000; scores.csv has them all." in page
    assert galleries(page)[1][0] == "5999.png"


def test_classes_without_order_have_no_worst(tmp_path, photo):
    kind = KINDS["unordered"](classes=("cat", "dog"))
    page = write(tmp_path, [row("a.png", 0.7, label="cat"), row("b.png", 0.6)], photo, kind)
    assert not galleries(page) and "no order" in page
    assert sorted(one[4] for one in listed(page)) == ["", "cat"]


@needs_browser
def test_a_browser_lists_names_as_text(tmp_path, photo):
    evil = "<img src=x onerror=\"document.title='harm'\">"
    rows = [row(evil, 1.0, fault="dark"), *(row(f"{n}.png", n + 2.0) for n in range(60))]
    write(tmp_path, rows, photo)
    shown = dump(tmp_path / "scores.html", tmp_path / "profile")
    assert "<title>Scores</title>" in shown and "page 1 of 2" in shown
    body = re.search(r"<tbody>(.*?)</tbody>", shown[shown.index('id="list"') :], re.DOTALL)[1]
    assert body.count("<tr>") == 50
    assert body.startswith('<tr><th scope="row" title="&lt;img') or "&lt;img src=x" in body
    assert '<td title="1">1</td>' in body and ">dark</td>" in body
