"""Figures under one another are written alike, and stand where they belong."""

import pytest

from iqa_jax.reporting.pages.report import Confusion, Table
from iqa_jax.reporting.pages.text_tables import (
    confusion_table,
    glossary,
    interval_text,
    single_figures,
    text_table,
    write_numbers,
)


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


def test_confusions_have_the_share_of_their_true_class():
    confusion = Confusion("test", ["bad", "good"], [[3, 1], [0, 0]])
    table = confusion_table(confusion)
    assert [name for name, _ in table.rows] == ["bad", "good"]
    assert [[tuple(cell) for cell in cells] for _, cells in table.rows] == [
        [("3", "75 %"), ("1", "25 %")],
        [("0", "0 %"), ("0", "0 %")],
    ]
    with pytest.raises(ValueError, match=r"is \(2, 2\), but there are 3 classes"):
        confusion_table(Confusion("test", ["bad", "odd", "good"], [[3, 1], [0, 0]]))


def test_an_interval_has_the_decimals_of_its_figure():
    assert interval_text((0.5, 12.0), 9.0) == "0.50 to 12.00"
    assert interval_text(None, 9.0) == interval_text((0.5, 0.6), None) == ""


def test_what_is_one_number_is_shown_and_explained():
    rows = [{"n": 3, "auroc": None, "confusion": [[1]], "note": "x"}, {"mae": 0.5, "is_map": True}]
    assert single_figures(rows) == ["n", "auroc", "mae"]
    explained = glossary(rows)
    assert list(explained) == ["Images", "AUROC", "MAE"]
    assert explained["MAE"].endswith("; lower is better.")


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="has 1 cells for 2 columns"):
        text_table(Table("maps", ["map", "auc"], [["a"]]))
    table = text_table(Table("maps", ["map", "auc"], [["a", 0.5], ["b", 12.0]]))
    assert table.corner == "map" and table.columns == ["auc"]
    assert [(name, cells[0].text) for name, cells in table.rows] == [("a", "0.50"), ("b", "12.00")]
