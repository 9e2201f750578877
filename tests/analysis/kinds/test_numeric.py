"""What opinion scores come to, in either direction of the label column."""

import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis.kinds import KINDS

MOS = KINDS["numeric"](column="mos", minimum=1.0, maximum=5.0)
DMOS = KINDS["numeric"](column="dmos", minimum=0.0, maximum=100.0, higher_is_better=False)
SCORES = np.array([[1.0], [2.0], [4.0]])


def test_what_is_written_is_in_the_direction_of_the_labels():
    assert MOS.written_score(SCORES).tolist() == [1, 2, 4]
    assert DMOS.written_score(SCORES).tolist() == [99, 98, 96]
    assert DMOS.score_of(SCORES).tolist() == [1, 2, 4]
    table = pd.DataFrame({"score": ["99", "96"], "label": ["90", "10"]})
    values, labels = DMOS.read_table(table)
    assert values.tolist() == [[1], [4]] and labels.tolist() == [10, 90]
    assert DMOS.count_labels(np.array([10, 90, 40]), np.array(["", "", ""])) == {
        "lowest label": 10, "median label": 60, "highest label": 90,
    }  # fmt: skip
    assert DMOS.shown_label(90.0, "10") == "90"
    assert "0 to 100; lower is better" in DMOS.purpose and "higher is better" in MOS.purpose


def test_intervals_stay_on_the_scale_and_turn_with_the_labels():
    assert MOS.interval(SCORES[1], 0.5, 1.0) == (1.5, 2.5)
    assert MOS.interval(SCORES[0], 0.5, 2.0) == (1.0, 2.0)
    assert MOS.promise(SCORES[1], 0.5, 1.0) == {"lower": 1.5, "upper": 2.5}
    assert DMOS.promise(SCORES[1], 0.5, 1.0) == {"lower": 97.5, "upper": 98.5}
    held = MOS.holds_label(SCORES, np.array([1.5, 3.0, 3.0]), 0.5, np.array([1.0, 1.0, 2.0]))
    assert held.tolist() == [True, False, True]
    assert MOS.conformal_scores(SCORES, np.array([1.5, 3, 3]), np.array([1, 1, 2.0])).tolist() == [
        0.5, 1, 0.5,
    ]  # fmt: skip
    rows = [{"lower": 1.0, "upper": 2.0}, {"lower": None, "upper": None}]
    assert MOS.promise_figures(rows) == {"interval_width": [1.0]}


def test_every_image_is_labelled_and_has_its_figures():
    labels = np.array([-1.0, 3.0, 2.0])
    assert MOS.is_labelled(labels).all()
    found = MOS.figures(SCORES, labels, std=np.array([0.5, 2.0, 2.0]))
    assert (found["n"], found["srcc"], found["outlier_ratio"]) == (3, 0.5, pytest.approx(1 / 3))
    assert found["mae"] == pytest.approx(5 / 3)
    measures = MOS.measures(SCORES, labels, mapped=labels, std=np.array([0.5, 2.0, 2.0]))
    once = np.ones((3, 1))
    assert measures["srcc"](once) == pytest.approx(0.5)
    assert measures["rmse_mapped"](once) == 0 and measures["plcc_mapped"](once) == 1


def test_uncertainty_joins_passes_and_views():
    passes, views = np.array([[1.0], [7.0]]), np.array([[0.0], [8.0]])
    assert MOS.uncertainty(SCORES[0], passes, views) == 5.0
    assert MOS.uncertainty(SCORES[0], None, views) == 4.0
    assert MOS.uncertainty(SCORES[0], None, views[:1]) is None
    assert MOS.disagreement(passes) is None


def test_doubts_are_beyond_the_usual_error():
    labels = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    values = (labels + 10 + [0, 0.1, -0.1, 0.05, 2])[:, None]
    doubts = MOS.doubts(values, labels)
    assert doubts.places.tolist() == [4] and doubts.rank[4] == -doubts.evidence[4]
    assert doubts.evidence[4] == pytest.approx((2 - 0.05) / (1.4826 * 0.05))
    assert MOS.mistakes(values, labels).tolist() == pytest.approx([10, 10.1, 9.9, 10.05, 12])
    # Where all are off by the same nothing stands out.
    assert not len(MOS.doubts(labels[:, None] + 10, labels).places)


def test_scores_name_no_class():
    assert MOS.label_of(SCORES[0]) == "" and MOS.probabilities(SCORES[0]) == {}
    assert MOS.score_range == (1, 5) and MOS.classes == MOS.label_names == ()
