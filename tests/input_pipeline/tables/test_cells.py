"""Cells that are wrong are told with the row that a spreadsheet shows."""

import numpy as np
import pandas as pd
import pytest

from input_pipeline.tables.cells import find_repeats, name_rows, read_grid_places, read_numbers


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([3], "row 3"),
        ([3, 9], "rows 3, 9"),
        ([2, 3, 4, 5, 6], "rows 2, 3, 4, 5, 6"),
        (range(2, 10), "rows 2, 3, 4, 5, 6 and 3 more"),
    ],
)
def test_many_rows_are_named_and_the_rest_counted(rows, named):
    assert name_rows(rows) == named


def test_numbers_are_read_and_others_told():
    cells = ["1.5", "-2e3", "1,5", "", "nan", "1e39", "word"]
    problems = [(2, "told before")]
    values = read_numbers(pd.Series(cells, index=range(2, 9)), "score", problems)
    np.testing.assert_array_equal(values, [1.5, -2000] + 5 * [np.nan])
    assert values.dtype == np.float64
    assert problems == [
        (2, "told before"),
        (4, "score '1,5' is not a number; write the decimals after a point"),
        (5, "the score is empty"),
        (6, "score 'nan' is not a number"),
        (7, "score '1e39' is not a number"),  # More than float32 holds.
        (8, "score 'word' is not a number"),
    ]


def test_places_of_a_grid_are_whole_numbers_from_0_on():
    problems = []
    cells = pd.Series(["0", "12", "-1", "1.0", "", "1234567890"], index=range(2, 8))
    places = read_grid_places(cells, "row", problems)
    assert places.tolist() == [0, 12, -1, -1, -1, -1] and places.dtype == np.int32
    assert [row for row, _ in problems] == [4, 5, 6, 7]
    assert problems[0][1] == "the tile's row must be a whole number from 0 on, not '-1'"


def test_a_row_repeats_another_only_in_every_column():
    keys = pd.DataFrame({"image": list("aabaa"), "row": [0, 1, 0, 0, 1]}, index=range(2, 7))
    assert find_repeats(keys, "is the same as") == [
        (5, "is the same as row 2"),
        (6, "is the same as row 3"),
    ]
    assert find_repeats(keys[:3], "is the same as") == []
