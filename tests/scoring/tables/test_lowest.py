"""The lowest scores of a table, told on a terminal."""

import pytest

from iqa_jax.scoring.tables.lowest import lowest_scores


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "scores.csv"

    def write(*rows: str):
        path.write_text("\n".join(["path,score,label,tiles,fault,error", *rows]) + "\n")
        return path

    return write


def test_the_lowest_come_first_and_rows_without_a_score_not_at_all(table):
    path = table(
        "a.jpg,9.5,,4,,",
        "b/long name.jpg,10.25,,4,,",
        "c.jpg,,,0,,the file is empty",
        "d.jpg,2.125,,4,blurred,",
    )
    assert lowest_scores(path, 2).splitlines() == [
        "The lowest scores:",
        "  score  fault    path",
        "  2.12   blurred  d.jpg",
        "  9.5             a.jpg",
    ]
    # No fault among them, no column; 10.25 is more than 9.5, whatever their texts are.
    assert lowest_scores(table("a.jpg,9.5,,4,,", "b.jpg,10.25,,4,,"), 9).splitlines()[1:] == [
        "  score  path",
        "  9.5    a.jpg",
        "  10.2   b.jpg",
    ]


def test_a_name_stays_on_its_line(table):
    assert lowest_scores(table('"a\nb.jpg",1,bad,1,,'), 1).splitlines()[1:] == [
        "  score  label  path",
        "  1      bad    a\\nb.jpg",
    ]


def test_nothing_scored_is_said(table):
    assert lowest_scores(table("a.jpg,,,0,,broken"), 3) == "No image could be scored."
