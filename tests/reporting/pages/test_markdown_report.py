"""report.md and model_card.md: the figures of metrics.json, and names that stay names."""

import re

import pytest

from iqa_jax.reporting.pages.markdown import block, code, prose
from iqa_jax.reporting.pages.markdown_report import write_markdown_report
from iqa_jax.reporting.pages.model_card import ModelCard, write_model_card
from iqa_jax.reporting.pages.report import Confusion, Headline, Report, Table
from iqa_jax.reporting.pages.text_tables import comparison_tables, write_numbers
from report_page import EVIL, full_report, read_tables


def written(tmp_path, report):
    write_markdown_report(tmp_path / "report.md", report)
    return (tmp_path / "report.md").read_text(encoding="utf-8")


METRICS = {
    "test": {
        "mean_score": {"n": 90, "auroc": 0.96234, "log_loss": 12.3456, "confusion": [[1]]},
        "vote": {"n": 90, "auroc": None, "log_loss": 0.00012},
    },
    "holdout": {"mean_score": {"n": 80, "auroc": 0.5, "log_loss": 123.456}},
}
REPORT = Report(
    "run",
    "python main.py --workdir='a b'",
    headlines=[
        Headline("auroc", "test", 0.96234, "Mean score over 90 images", (0.9, 0.99)),
        Headline("auroc", "holdout", None, "no images"),
    ],
    warnings=["auroc differs."],
    metrics=METRICS,
    headline_fusion="mean_score",
    intervals={"test": {"auroc": (0.9012, 0.9949)}, "holdout": {"log_loss": (100.0, 150.04)}},
    confusions=[Confusion("test", ["bad", "good"], [[3, 1], [0, 4]])],
    audit="720 images",
    versions={"jax": "0.10.2"},
)


def test_tables_hold_the_figures_of_the_metrics(tmp_path):
    tables = read_tables(written(tmp_path, REPORT))
    head, *rows = tables["Every fusion on `test`"]
    assert head == ["Fusion", "Images", "AUROC", "Log loss"]
    for row, figures in zip(rows, METRICS["test"].values(), strict=True):
        values = [figures[name] for name in ("n", "auroc", "log_loss")]
        for cell, value in zip(row[1:], values, strict=True):
            if value is None:
                assert cell == "undefined"
            else:
                digits = len(cell.partition(".")[2])
                tolerance = 0.5 * 10.0**-digits if digits else 0
                assert abs(float(cell) - value) <= tolerance + 1e-12, (cell, value)
    head, *rows = tables["Mean score: splits side by side"]
    assert head == ["Figure", "`test`", "`holdout`"]
    assert rows == [
        ["Images", "90", "80"],
        ["AUROC", "0.962 (0.901 to 0.995)", "0.500"],
        ["Log loss", "12.3", "123.5 (100.0 to 150.0)"],
    ]
    assert tables["test"][1:] == [
        ["`bad`", "3 (75 %)", "1 (25 %)"],
        ["`good`", "0 (0 %)", "4 (100 %)"],
    ]


def test_the_rest_is_there_too(tmp_path):
    text = written(tmp_path, REPORT)
    assert "- AUROC, `test`: **0.962** (95 % interval 0.900 to 0.990); Mean score over" in text
    assert "- AUROC, `holdout`: **undefined**; no images" in text
    assert "> [!WARNING]\n> auroc differs." in text
    assert "```sh\npython main.py --workdir='a b'\n```" in text
    assert "```\n720 images\n```" in text and "jax 0.10.2" in text


@pytest.mark.parametrize(
    ("change", "heading"),
    [
        ({"headlines": REPORT.headlines}, "## Figures"),
        ({"metrics": METRICS}, "## Figures"),
        ({"confusions": REPORT.confusions}, "## Confusion"),
        ({"localisation": [Table("maps", ["map", "auc"], [["a", 0.5]])]}, "## Localisation"),
        ({"audit": "fine"}, "## Data"),
        ({"versions": {"jax": "1"}}, "## Versions"),
        ({"command": "python main.py"}, "## Command"),
    ],
)
def test_a_section_is_there_if_its_part_is(change, heading, tmp_path):
    text = written(tmp_path, Report(**{"title": "run", "command": "", **change}))
    assert re.findall("^## .*$", text, re.M) == [heading]


def test_every_table_keeps_its_columns_whatever_the_names(tmp_path):
    text = written(tmp_path, full_report(EVIL))
    tables = read_tables(text)
    assert len(tables) == 6
    for rows in tables.values():
        assert {len(row) for row in rows} == {len(rows[0])}
    # Outside of fences and code, no tag begins and nobody is called.
    outside = re.sub(r"```.*?```|`[^`\n]*`|<code>.*?</code>", "", text, flags=re.S)
    assert "<" not in outside.replace("&lt;", "")
    assert not re.search(r"(?<!\\)@\w|#\d", outside)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photo_1.jpg", "`photo_1.jpg`"),
        ("*a* <b>\n# c", "`*a* <b> # c`"),
        ("", ""),
        ("a|b`", "<code>a&#124;b&#96;</code>"),
    ],
)
def test_chosen_words_are_code(text, expected):
    assert code(text) == expected


def test_sentences_have_no_marks():
    assert prose("a_b *c* [d](e) `f` | <g> & \\") == (
        r"a\_b \*c\* \[d\](e) \`f\` \| &lt;g\> &amp; \\"
    )
    assert "@a" not in prose("@a #1") and "#1" not in prose("@a #1")


def test_a_fence_is_longer_than_any_in_its_text():
    text = "a\n````\nb"
    fence, *inside, end = block(text).split("\n")
    assert "\n".join(inside) == text and fence == end == "`````"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.12345, 9.9], ["0.123", "9.900"]),
        ([0.12345, 12.345, 7], ["0.12", "12.35", "7"]),
        ([1234.5, 2.0], ["1234", "2"]),
        ([0.00001, 0.0, -0.5], ["1e-05", "0.000", "-0.500"]),
        ([None, float("nan"), float("inf"), "–"], ["undefined"] * 3 + ["–"]),
    ],
)
def test_figures_under_one_another_have_the_same_decimals(values, expected):
    assert write_numbers(values) == expected


CARD = ModelCard(
    name="run",
    purpose="Tells bad photographs from good ones.",
    use=["Photographs like those of the manifest."],
    facts={"Labels": "binary, column the_label"},
    images=Table("", ["Split", "Images", "bad"], [["train", 360, 150], ["test", 90, 50]]),
    headlines=REPORT.headlines,
    warnings=["auroc differs."],
    figures=comparison_tables(REPORT),
    limits=["No other images."],
    commands={"Score images": "python main.py --mode=predict"},
    versions={"jax": "0.10.2"},
    config_digest="c" * 64,
    manifest_digest="d" * 64,
)


def test_a_model_card_says_what_it_was_given(tmp_path):
    write_model_card(tmp_path / "card.md", CARD)
    text = (tmp_path / "card.md").read_text()
    headings = re.findall("^## (.*)$", text, re.M)
    assert headings == [
        "Intended use",
        "What it is",
        "What it was trained and measured on",
        "Figures",
        "Limits",
        "How to use it",
        "Where it comes from",
    ]
    tables = read_tables(text)
    assert tables["What it was trained and measured on"][1:] == [
        ["`train`", "360", "150"],
        ["`test`", "90", "50"],
    ]
    assert tables["Mean score: splits side by side"][2] == [
        "AUROC",
        "0.962 (0.901 to 0.995)",
        "0.500",
    ]
    for part in ("c" * 64, "d" * 64, "> auroc differs.", "--mode=predict", r"the\_label"):
        assert part in text
