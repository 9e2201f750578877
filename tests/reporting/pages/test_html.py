"""The report stands alone, shows hostile names as text, and reads well without eyes."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

from iqa_jax.reporting.pages.html import write_report
from iqa_jax.reporting.pages.report import (
    Confusion,
    FileError,
    Gallery,
    Headline,
    Report,
    Suspects,
    Table,
)
from report_page import EVIL, Page, full_report, photos

# Part of a report -> the section that it makes appear.
SECTION_OF = {
    "answer": "answer",
    "warnings": "answer",
    "headlines": "figures",
    "metrics": "figures",
    "history": "training",
    "confusions": "confusion",
    "reliabilities": "calibration",
    "histograms": "scores",
    "scatters": "agreement",
    "coverages": "coverage",
    "mistakes": "mistakes",
    "extremes": "extremes",
    "uncertain": "uncertain",
    "suspects": "suspects",
    "projections": "map",
    "localisation": "localisation",
    "audit": "data",
    "errors": "data",
    "config": "configuration",
    "versions": "versions",
    "command": "command",
}


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, full_report(EVIL))
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def written(tmp_path, report):
    write_report(tmp_path / "report.html", report)
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def sections(page):
    return [attrs["id"] for attrs in page.find("section")]


def test_nothing_is_asked_of_the_network(html, page):
    assert page.links
    outside = [link for link in page.links if not link.startswith(("data:image/", "#"))]
    assert not outside
    assert not page.find("link") and not page.find("iframe")
    assert not re.search(r"@import|url\((?!#)", html)
    # What is left are the names of SVG's own vocabulary, which nothing loads.
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    policy = [m["content"] for m in page.find("meta") if "http-equiv" in m]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_hostile_names_stay_text(html, page):
    assert not page.find("script")
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "<script" not in html
    # As title, split, fusion, class, legend, caption, file and in all other places of words.
    assert sum(EVIL in text for text in page.texts) >= 40
    # In what is read out and in what stands for a picture, too.
    assert any(EVIL in attrs.get("aria-label", "") for attrs in page.find("input"))
    assert {attrs["alt"] for attrs in page.find("img")} == {EVIL}


def test_sections_come_in_their_order(page):
    assert sections(page) == [*dict.fromkeys(SECTION_OF.values())]
    contents = [link[1:] for link in page.links if link.startswith("#") and link != "#main"]
    drawn = [link for link in contents if link in sections(page)]
    assert drawn == sections(page), "the table of contents has the same order"


@pytest.mark.parametrize("part", SECTION_OF)
def test_a_section_is_there_if_its_part_is(part, tmp_path):
    full = full_report("run", dots=2)
    # A report whose title and command are all that it has, and one part more.
    alone = dataclasses.replace(Report("run", ""), **{part: getattr(full, part)})
    assert sections(written(tmp_path, alone)) == [SECTION_OF[part]]


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


def test_the_first_link_skips_to_the_figures(page):
    assert page.links[0] == "#main"
    assert page.find("main")[0]["id"] == "main"


def test_every_picture_says_what_it_shows(page):
    pictures = [attrs for _, attrs in page.tags if attrs.get("role") == "img"]
    assert all(attrs["aria-label"].strip() for attrs in pictures)
    photos_shown = [a for a in pictures if "score 0.500, labelled bad" in a["aria-label"]]
    assert len(photos_shown) == 4
    labels = [a["aria-label"] for a in pictures]
    curves = [label for label in labels if label.startswith("loss:")]
    assert "train from 0.7 at step 1 to 0.4 at step 3" in curves[0]
    assert "val from 0.6 at step 3" in curves[0]
    (reliability,) = (label for label in labels if "share right" in label)
    assert "ECE 0.100: share right 0.50 at 0.60, 0.65 at 0.75, 0.85 at 0.95" in reliability
    (coverage,) = (label for label in labels if "half of the images" in label)
    assert "0.100 with half of the images answered, 0.250 with all, area 0.175" in coverage


def test_wide_content_scrolls_by_keyboard_in_its_own_box(page):
    boxes = [a for _, a in page.tags if "scroll" in a.get("class", "").split()]
    assert len(boxes) == len(page.find("table"))
    strips = [a for _, a in page.tags if "strip" in a.get("class", "").split()]
    assert len(strips) == 3
    for box in (*boxes, *strips, *page.find("pre")):
        assert box["tabindex"] == "0" and box["role"] == "region" and box["aria-label"]


def test_dots_and_views_are_chosen_with_the_keyboard(page):
    # Radio buttons: one stop of the tab key per group, and arrow keys within it.
    radios = page.find("input")
    assert {radio["type"] for radio in radios} == {"radio"}
    dots = [radio for radio in radios if radio.get("class") == "dot"]
    assert len(dots) == 12 and len({dot["name"] for dot in dots}) == 1
    lefts = [float(re.match(r"left: ([\d.]+)%", dot["style"])[1]) for dot in dots]
    assert lefts == sorted(lefts), "arrow keys walk from left to right"
    assert min(lefts) == 3 and max(lefts) == 97
    views = [radio["value"] for radio in radios if radio["name"] == "mistakes1"]
    assert views == ["photo", "tiles", "heat0"]
    colourings = [radio["value"] for radio in radios if radio["name"] == "map1colour"]
    assert colourings == ["class", "split", "score"]


def test_figures_are_written_out(page):
    assert "0.877" in page.texts and "30" in page.texts
    assert "0.801 to 0.927" in page.texts, "the interval, with the decimals of its figure"
    assert page.texts.count("undefined") >= 3, "in the headline, in a table and in the purity"
    assert "75 %" in page.texts and "0 %" in page.texts, "a class without rows shares nothing"
    assert any(text.startswith("AUROC, ") for text in page.texts) and "Learning rate" in page.texts
    assert "0.012" in page.texts, "the probability of a suspicious label"


def test_whiskers_of_one_figure_share_a_line(tmp_path):
    report = Report(
        "run",
        "",
        headlines=[
            Headline("auroc", "test", 0.90, "", (0.80, 0.95)),
            Headline("auroc", "holdout", 0.95, "", (0.90, 1.00)),
            Headline("auroc", "val", None, "", None),
        ],
    )
    page = written(tmp_path, report)
    at = [float(a["style"].removeprefix("left: ")[:-1]) for a in page.find("span", cls="at")]
    bars = [
        [float(number) for number in re.findall(r"[\d.]+", a["style"])]
        for a in page.find("span", cls="interval")
    ]
    low = 0.80 - 0.08 * 0.2
    place = lambda value: 100 * (value - low) / (1 - low)  # noqa: E731
    np.testing.assert_allclose(at, [place(0.90), place(0.95)], atol=0.02)
    np.testing.assert_allclose(bars[0], [place(0.80), place(0.95) - place(0.80)], atol=0.02)
    np.testing.assert_allclose(bars[1][0] + bars[1][1], 100, atol=0.02)


def test_suspects_may_be_none(tmp_path):
    page = written(tmp_path, Report("run", "", suspects=Suspects("None is suspicious.", "p", [])))
    assert sections(page) == ["suspects"]
    assert "None is suspicious." in page.texts and not page.find("table")


def test_drawings_take_the_colour_of_the_page(html):
    assert "#123456" not in html
    assert html.count("currentColor") > 50


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("scheme", (0, 1))
def test_text_stands_out_from_its_ground(html, scheme):
    # Light is declared first, then dark; WCAG 2.2 asks for 4.5.
    colours = {}
    for name in ("ground", "card", "ink", "soft", "accent", "warn", "warn-ground"):
        colours[name] = luminance(re.findall(rf"--{name}: (#\w{{6}})", html)[scheme])
    pairs = [("warn", "warn-ground"), ("ink", "warn-ground")]
    pairs += itertools.product(("ink", "soft", "accent"), ("ground", "card"))
    for text, ground in pairs:
        dark, light = sorted((colours[text], colours[ground]))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_the_same_report_twice_is_the_same_file(html, tmp_path):
    write_report(tmp_path / "again.html", full_report(EVIL))
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html


def test_an_empty_report_leaves_its_parts_out(tmp_path):
    page = written(tmp_path, Report(title="Run", command="python main.py"))
    assert sections(page) == ["command"]
    assert [link for link in page.links if link.startswith("#")] == ["#main", "#command"]


def test_forty_photos_and_six_hundred_dots_stay_below_five_megabytes(tmp_path):
    images = [example.image for example in photos(4)]
    (projection,) = full_report("run").projections
    crowd = dataclasses.replace(
        projection,
        points=np.random.default_rng(0).normal(size=(600, 2)),
        names=["run"] * 600,
        splits=["test"] * 600,
        labels=["good"] * 600,
        scores=np.linspace(0, 1, 600),
        # Shrunk by the report itself where whoever fills it has not.
        images=[images[i % 4][::4, ::4] for i in range(600)],
    )
    gallery = Gallery("Worst", "Lowest scores.", [*photos(40)])
    report = Report("run", "", mistakes=[gallery], projections=[crowd])
    write_report(tmp_path / "report.html", report)
    assert (tmp_path / "report.html").stat().st_size < 5e6


def test_file_names_that_are_no_valid_text_are_shown(tmp_path):
    error = FileError("caf\udce9.jpg", "unreadable")
    page = written(tmp_path, Report("Run", "main", errors=[error]))
    assert r"caf\udce9.jpg" in page.texts


def test_many_errors_are_counted_and_not_all_listed(tmp_path):
    errors = [FileError(f"{i}.jpg", "cut off") for i in range(1000)]
    page = written(tmp_path, Report("Run", "main", errors=errors))
    assert "1000 files could not be used" in page.texts
    listed = sum(text.endswith(".jpg") for text in page.texts)
    assert f"And {1000 - listed} more" in " ".join(page.texts)
    assert 0 < listed < 1000


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"confusions": [Confusion("test", ["bad"], [[1, 2], [3, 4]])]},
            r"'test' is \(2, 2\), but there are 1 classes",
        ),
        (
            {"localisation": [Table("maps", ["map", "auc"], [["attention", 0.5, 0.6]])]},
            "'maps' has 3 cells for 2 columns",
        ),
    ],
)
def test_a_part_that_contradicts_itself_is_refused(part, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "report.html", dataclasses.replace(Report("Run", "main"), **part))
