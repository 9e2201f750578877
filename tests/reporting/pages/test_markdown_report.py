"""report.md: the figures of metrics.json, and names that stay names."""

import re

import pytest

from iqa_jax.reporting.pages.markdown_report import write_markdown_report
from iqa_jax.reporting.pages.report import Confusion, Headline, Report, Table
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
        ({"answer": [("How good", "Good.")]}, "## In short"),
        ({"warnings": ["auroc differs."]}, "## In short"),
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
