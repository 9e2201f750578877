"""Equal content is scored once, and known from an earlier start."""

from iqa_jax.scoring.tables.duplicates import SeenContents


def test_content_is_new_once_and_has_its_row_when_that_is_finished():
    seen = SeenContents()
    assert [seen.begin(content) for content in ("a", "b", "a")] == [True, True, False]
    row = {"content": "a", "score": 0.1 + 0.2, "error": "", "abstain": None, "label": "é"}
    seen.finish(row)
    assert seen.row_of("a") == row
    assert not seen.begin("b")


def test_rows_of_an_earlier_start_count_but_not_those_with_an_error():
    rows = [
        {"content": "a", "score": 1.0, "error": ""},
        {"content": "b", "score": None, "error": "cut short"},
        {"content": "a", "score": 2.0, "error": ""},
        {"score": 3.0, "error": ""},
    ]
    seen = SeenContents(iter(rows))
    assert (seen.begin("a"), seen.begin("b")) == (False, True)
    assert seen.row_of("a")["score"] == 1.0  # The first one answers.
