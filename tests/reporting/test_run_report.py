"""What a whole run leaves for people to read agrees with what it leaves for programs."""

import hashlib
import json
import re

import pandas as pd
import pytest

from report_page import Page, read_tables

FIGURES = {"AUROC": "auroc", "Log loss": "log_loss", "Images": "n", "Accuracy": "accuracy"}


@pytest.fixture(scope="module")
def metrics(tiny_run):
    return json.loads((tiny_run / "metrics.json").read_text())


def agree(cell, value):
    """Whether a cell is a value, but for how it is rounded and for its interval."""
    text = cell.partition(" ")[0]
    if value is None:
        return text == "undefined"
    return abs(float(text) - value) <= 0.51 * 10.0 ** -len(text.partition(".")[2])


@pytest.mark.parametrize("name", ("report.md", "model_card.md"))
def test_headlines_are_those_of_the_metrics(tiny_run, metrics, name):
    tables = read_tables((tiny_run / name).read_text())
    head, *rows = tables["Mean score: splits side by side"]
    splits = [cell.strip("`") for cell in head[1:]]
    assert splits == ["test", "val"], "what nothing was chosen on comes first"
    rows = {row[0]: row[1:] for row in rows}
    for heading, figure in FIGURES.items():
        for cell, split in zip(rows[heading], splits, strict=True):
            assert agree(cell, metrics[split][figure]), (heading, split)


def test_every_fusion_is_in_the_tables(tiny_run, metrics):
    tables = read_tables((tiny_run / "report.md").read_text())
    for split, figures in metrics.items():
        head, *rows = tables[f"Every fusion on `{split}`"]
        assert len(rows) == len(figures["fusions"])
        column = head.index("AUROC")
        for row, values in zip(rows, figures["fusions"].values(), strict=True):
            assert agree(row[column], values["auroc"])


def test_the_page_has_the_sections_of_a_run(tiny_run):
    html = (tiny_run / "report.html").read_text()
    found = {attrs["id"] for attrs in Page(html).find("section")}
    needed = {"figures", "training", "confusion", "scores", "extremes", "data", "configuration"}
    assert needed | {"versions", "map"} <= found
    assert "agreement" not in found, "the labels are classes"
    assert "Grad-CAM: what speaks for" in html


def test_the_model_card_counts_and_names_what_made_the_run(tiny_run, tiny_manifest):
    text = (tiny_run / "model_card.md").read_text()
    table = read_tables(text)["What it was trained and measured on"]
    images = pd.read_csv(tiny_manifest)
    for row in table[1:]:
        part = images[images["split"] == row[0].strip("`")]
        labels = [int((part["label"] == name).sum()) for name in ("bad", "marginal", "good")]
        assert [int(cell) for cell in row[1:]] == [len(part), part["group"].nunique(), *labels]
    config = hashlib.sha256((tiny_run / "config.json").read_bytes()).hexdigest()
    manifest = json.loads((tiny_run / "manifest.json").read_text())["sha256"]
    assert config in text and manifest in text
    assert "Not measured: holdout." in text
    folder = re.search(r"--mode=predict --workdir=(\S+)", text)[1]
    assert folder == str(tiny_run)
