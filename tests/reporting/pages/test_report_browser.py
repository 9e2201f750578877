"""The report in a real browser: what is drawn, what a phone shows, what a hostile name may do."""

import html
import re

import pytest

from browser import dump, needs_browser
from iqa_jax.reporting.pages.html import write_report
from report_page import Page, full_report

pytestmark = needs_browser

# Would change the page if it were anything but text.
HOSTILE = "<img src=x onerror=\"top.harm='done'\"><script>top.harm='done'</script>.png"
PROBE = """
<!DOCTYPE html><title>probe</title>
<iframe style="width: 360px; height: 800px; border: 0" srcdoc="{page}"></iframe>
<script>
onload = () => {{
  const page = frames[0], root = page.document.documentElement;
  const style = (selector) => page.getComputedStyle(page.document.querySelector(selector));
  const say = (name, value) => {{
    const line = document.body.appendChild(document.createElement("p"));
    line.id = name;
    line.textContent = value;
  }};
  say("harm", String(window.harm));
  say("width", root.clientWidth);
  say("content", root.scrollWidth);
  say("wide", [...page.document.querySelectorAll(".scroll")].filter(
    (box) => box.scrollWidth > box.clientWidth).length);
  const dot = page.document.querySelector(".dot");
  say("card-before", page.getComputedStyle(dot.nextElementSibling).display);
  dot.checked = true;
  say("card-after", page.getComputedStyle(dot.nextElementSibling).display);
  say("hint-after", style(".hint").display);
  say("by-class", page.getComputedStyle(dot).backgroundColor);
  page.document.querySelector("[name=map1colour][value=score]").checked = true;
  say("by-score", page.getComputedStyle(dot).backgroundColor);
  say("score-keys", style(".keys.score").display);
  say("tiles-before", style("#mistakes .tiles").display);
  page.document.querySelector("[name=mistakes1][value=heat0]").checked = true;
  say("tiles-after", style("#mistakes .tiles").display);
  say("heat-after", style("#mistakes .heat0").display);
  say("skip-before", page.document.querySelector(".skip").getBoundingClientRect().bottom);
}};
</script>
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("browser") / "report.html"
    write_report(path, full_report(HOSTILE))
    return path


@pytest.fixture(scope="module")
def probed(report, tmp_path_factory):
    """What a script measures in a copy of the page that is allowed to run any."""
    page = report.read_text()
    policy = re.search(r"<meta http-equiv[^>]*>", page)[0]
    path = report.with_name("probe.html")
    path.write_text(PROBE.format(page=html.escape(page.replace(policy, ""), quote=True)))
    dumped = dump(path, tmp_path_factory.mktemp("profile"))
    return dict(re.findall(r'<p id="([\w-]+)">([^<]*)</p>', dumped))


def test_the_browser_holds_every_part(report, tmp_path):
    page = Page(dump(report, tmp_path))
    assert len(page.find("section")) == 18 == len(page.find("h2")) - 1
    assert not page.find("script") and not page.find("iframe")
    assert not [tag for tag, attrs in page.tags if any(key.startswith("on") for key in attrs)]
    assert sum(HOSTILE in text for text in page.texts) >= 40
    assert len(page.find("input", cls="dot")) == 12
    assert all(attrs["src"].startswith("data:image/jpeg;base64,") for attrs in page.find("img"))


def test_a_name_runs_nothing_even_where_scripts_may_run(probed):
    assert probed["harm"] == "undefined"


def test_nothing_is_wider_than_a_phone(probed):
    # The scroll bar takes its part of 360 pixels.
    assert 300 < int(probed["width"]) <= 360
    assert probed["content"] == probed["width"]
    assert int(probed["wide"]) > 0, "wide tables scroll in their own box"


def test_a_dot_that_is_chosen_shows_its_image(probed):
    assert (probed["card-before"], probed["card-after"]) == ("none", "block")
    assert probed["hint-after"] == "none"


def test_switches_change_what_is_drawn(probed):
    assert probed["by-class"] != probed["by-score"]
    assert probed["score-keys"] == "flex"
    assert (probed["tiles-before"], probed["tiles-after"]) == ("inline", "none")
    assert probed["heat-after"] == "inline"


def test_the_skip_link_waits_above_the_page(probed):
    assert float(probed["skip-before"]) <= 0
