"""A model card says what it was given."""

import re

from iqa_jax.reporting.pages.model_card import ModelCard, write_model_card
from iqa_jax.reporting.pages.report import Confusion, Headline, Report, Table
from iqa_jax.reporting.pages.text_tables import comparison_tables
from report_page import read_tables

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
