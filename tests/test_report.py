"""The report stands alone, shows hostile names as text, and reads well without eyes."""

import dataclasses
import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from skimage import data

from iqa_jax.analysis.pictures import Example
from iqa_jax.analysis.report import (
    Confusion,
    FileError,
    Gallery,
    Headline,
    Report,
    ScoreHistogram,
    ScoreScatter,
    write_report,
)

EVIL = "<script>alert('$x^{$')</script>&\"_.jpg"
VOID = {"meta", "br", "input", "image"}


class Page(HTMLParser):
    """Collects what the tests ask about, and fails on tags that do not close."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.links, self.open = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"unclosed: {self.open}"

    def handle_starttag(self, tag, attrs, is_closed=False):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.links += [attrs[k] for k in ("href", "src", "xlink:href", "action") if k in attrs]
        if tag not in VOID and not is_closed:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs, is_closed=True)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] != "style" and text.strip():
            self.texts.append(text.strip())

    def find(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def photos(n, name="photo.jpg"):
    images = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for i in range(n):
        image = np.roll(images[i % 4], i, axis=1)
        origins = np.stack(np.mgrid[0:256:128, 0:384:128], axis=-1).reshape(-1, 2)
        scores = np.linspace(0, 1, len(origins))
        yield Example(name, image, image.shape[:2], origins, 128, scores, 0.5, "bad", "good")


def full_report(name):
    rng = np.random.default_rng(0)
    scores = {name: rng.uniform(size=30), "good": rng.uniform(size=30)}
    return Report(
        title=name,
        command=f"python main.py --workdir='{name}'",
        summary=name,
        headlines=[Headline(name, 0.91, name), Headline("AUROC", None, "one class only")],
        metrics={
            name: {name: {"n": 30, "auroc": 0.87654, "confusion": [[1]]}},
            "holdout": {"vote": {"n": 12, "auroc": None, name: 1.0}},
        },
        history=[
            {"step": 1, "train/loss": 0.7, "learning_rate": 1e-4},
            {"step": 2, "train/loss": 0.5, "val/loss": None, f"{name}/loss": float("nan")},
            {"step": 3, "train/loss": 0.4, "val/loss": 0.6, f"{name}/loss": 0.3},
        ],
        best_step=2,
        confusions=[Confusion(name, [name, "good"], [[3, 1], [0, 0]])],
        histograms=[ScoreHistogram(name, scores, {name: 0.3, "good from": 0.7})],
        scatters=[ScoreScatter(name, rng.uniform(size=50), rng.uniform(size=50))],
        galleries=[Gallery(name, name, [*photos(2, name)])],
        audit=name,
        errors=[FileError(name, name)],
        config=f'{{"path": "{name}"}}',
        versions={"jax": "0.10.2", name: name},
    )


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, full_report(EVIL))
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_nothing_is_asked_of_the_network(html, page):
    assert page.links
    outside = [link for link in page.links if not link.startswith(("data:image/", "#"))]
    assert not outside
    assert not page.find("link") and not page.find("iframe")
    assert not re.search(r"@import|url\((?!#)", html)
    policy = [m["content"] for m in page.find("meta") if "http-equiv" in m]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_hostile_names_stay_text(html, page):
    assert not page.find("script")
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "<script" not in html
    # As title, split, fusion, class, legend, caption, file and in all other places of words.
    assert sum(EVIL in text for text in page.texts) >= 15


def test_links_within_the_page_lead_somewhere(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {link[1:] for link in page.links if link.startswith("#")}
    assert targets <= set(ids)
    named = {attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs}
    assert named <= set(ids)


def test_headings_descend_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_picture_says_what_it_shows(page):
    pictures = [attrs for _, attrs in page.tags if attrs.get("role") == "img"]
    assert all(attrs["aria-label"].strip() for attrs in pictures)
    photos_shown = [a for a in pictures if "score 0.500, labelled bad" in a["aria-label"]]
    assert len(photos_shown) == 2
    curves = [a["aria-label"] for a in pictures if a["aria-label"].startswith("loss:")]
    assert "train from 0.7 at step 1 to 0.4 at step 3" in curves[0]
    assert "val from 0.6 at step 3" in curves[0]


def test_wide_content_scrolls_by_keyboard_in_its_own_box(page):
    boxes = [attrs for _, attrs in page.tags if attrs.get("class") == "scroll"]
    assert len(boxes) == len(page.find("table"))
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)


def test_figures_are_written_out(page):
    assert "0.877" in page.texts and "30" in page.texts
    assert page.texts.count("undefined") >= 2, "in the headline and in the table"
    assert "75 %" in page.texts and "0 %" in page.texts, "a class without rows shares nothing"
    assert "AUROC" in page.texts and "Learning rate" in page.texts


def test_drawings_take_the_colour_of_the_page(html):
    assert "#123456" not in html
    assert html.count("currentColor") > 50


def test_the_same_report_twice_is_the_same_file(html, tmp_path):
    write_report(tmp_path / "again.html", full_report(EVIL))
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html


def test_an_empty_report_leaves_its_parts_out(tmp_path):
    write_report(tmp_path / "report.html", Report(title="Run", command="python main.py"))
    page = Page((tmp_path / "report.html").read_text())
    assert [attrs["id"] for attrs in page.find("section")] == ["repeat"]
    assert [link for link in page.links if link.startswith("#")] == ["#repeat"]


def test_forty_photos_stay_below_three_megabytes(tmp_path):
    report = dataclasses.replace(
        full_report("run"), galleries=[Gallery("Worst", "Lowest scores.", [*photos(40)])]
    )
    write_report(tmp_path / "report.html", report)
    assert (tmp_path / "report.html").stat().st_size < 3e6


def test_file_names_that_are_no_valid_text_are_shown(tmp_path):
    report = Report("Run", "main", errors=[FileError("caf\udce9.jpg", "unreadable")])
    write_report(tmp_path / "report.html", report)
    assert r"caf\udce9.jpg" in Page((tmp_path / "report.html").read_text()).texts


def test_many_errors_are_counted_and_not_all_listed(tmp_path):
    errors = [FileError(f"{i}.jpg", "cut off") for i in range(1000)]
    write_report(tmp_path / "report.html", Report("Run", "main", errors=errors))
    page = Page((tmp_path / "report.html").read_text())
    assert "1000 files could not be used" in page.texts
    listed = sum(text.endswith(".jpg") for text in page.texts)
    assert f"And {1000 - listed} more" in " ".join(page.texts)
    assert 0 < listed < 1000


def test_a_confusion_matrix_must_match_its_classes(tmp_path):
    report = Report("Run", "main", confusions=[Confusion("test", ["bad"], [[1, 2], [3, 4]])])
    with pytest.raises(ValueError, match=r"'test' is \(2, 2\), but there are 1 classes"):
        write_report(tmp_path / "report.html", report)
