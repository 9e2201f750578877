"""A table holds the same rows in every format, whatever files are called."""

import numpy as np
import pandas as pd
import pytest

from iqa_jax.scoring.tables.writers import TABLE_WRITERS

COLUMNS = {"path": str, "score": float, "tiles": int, "abstain": bool}
# The second name is no valid text: a byte of another encoding.
ROWS = [
    {"path": 'a,"b"\n.jpg', "score": 0.1 + 0.2, "tiles": 4, "abstain": True, "more": "left out"},
    {"path": "\udcff.jpg", "score": None, "tiles": 0},
]


def read(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".jsonl":
        return pd.read_json(path, lines=True, precise_float=True)
    return pd.read_csv(path)


@pytest.mark.parametrize("ending", TABLE_WRITERS)
def test_rows_are_read_back(ending, tmp_path):
    path = tmp_path / f"table{ending}"
    with TABLE_WRITERS[ending](path, COLUMNS) as write:
        write(ROWS[:1])
        write(ROWS[1:])
    table = read(path)
    assert list(table.columns) == list(COLUMNS)
    assert table["path"][0] == ROWS[0]["path"] and table["path"][1].endswith(".jpg")
    assert table["score"][0] == 0.1 + 0.2 and np.isnan(table["score"][1])
    assert table["tiles"].tolist() == [4, 0]
    assert table["abstain"][0] and pd.isna(table["abstain"][1])
    path.read_bytes().decode("latin-1" if ending == ".parquet" else "utf-8")


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_kill_leaves_what_was_written(ending, tmp_path):
    path = tmp_path / f"table{ending}"
    with TABLE_WRITERS[ending](path, COLUMNS) as write:
        write(ROWS)
        if ending == ".csv":
            assert len(read(path)) == 2
    assert len(read(path)) == 2
