"""What is wrong with a set's own files is said."""

import pytest

from input_pipeline.datasets import DATASETS
from input_pipeline.datasets.layouts import LayoutError


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_not_the_set_says_where_to_get_it(name, tmp_path):
    opinions = DATASETS[name]
    with pytest.raises(LayoutError, match="no such file") as caught:
        opinions.table(tmp_path)
    assert opinions.home in str(caught.value) and opinions.layout in str(caught.value)


def test_what_is_wrong_with_a_score_file_is_said(layouts, tmp_path):
    opinions = DATASETS["kadid10k"]
    scores = (layouts["kadid10k"] / "dmos.csv").read_text()
    for wrong, sentence in (
        (scores.replace("4.57", "five", 1), r"I01_01_01.png mos = 'five', which is no number"),
        (scores.replace("4.57", "5.1", 1), "no number from 1 to 5"),
        (scores.replace("dmos,var", "mos,var"), "no column 'dmos'; the columns are dist_img"),
        (scores.partition("\n")[0], "rates no image"),
        ("", "no comma-separated table"),
    ):
        (tmp_path / "dmos.csv").write_text(wrong)
        with pytest.raises(LayoutError, match=sentence):
            opinions.table(tmp_path)
    tid = DATASETS["tid2013"]
    for name in ("mos_with_names.txt", "mos_std.txt"):
        (tmp_path / name).write_text((layouts["tid2013"] / name).read_text())
    (tmp_path / "mos_std.txt").write_text("0.1\n")
    with pytest.raises(LayoutError, match="has 1 lines where mos_with_names.txt has 8"):
        tid.table(tmp_path)
    (tmp_path / "csiq.DMOS.xlsx").write_text("no Excel file")
    with pytest.raises(LayoutError, match="this Excel file cannot be read"):
        DATASETS["csiq"].table(tmp_path)
