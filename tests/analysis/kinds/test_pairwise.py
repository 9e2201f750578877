"""What scores come to that were learnt from pairs."""

import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis.kinds import KINDS

SCORES = np.array([[3.0], [2.0], [2.0], [5.0]])
PAIRS = pd.DataFrame(
    [
        (0, 1, "pair_accuracy"), (1, 2, "pair_accuracy"), (2, 3, "pair_accuracy"),
        (3, 0, "unseen_pair_accuracy"),
    ],
    columns=["better", "worse", "figure"],
)  # fmt: skip


def test_rankings_have_a_figure_for_kinds_that_were_not_trained_on():
    none = np.full(4, -1)
    found = KINDS["ranking"]().figures(SCORES, none, pairs=PAIRS)
    assert found == {"n": 4, "pairs": 4, "pair_accuracy": 0.5, "unseen_pair_accuracy": 1.0}
    found = KINDS["pairs"]().figures(SCORES, none, pairs=PAIRS.iloc[:3])
    assert found == {"n": 4, "pairs": 3, "pair_accuracy": 0.5}
    measures = KINDS["ranking"]().measures(SCORES, none, pairs=PAIRS)
    weights = np.array([[1.0, 1, 1, 1], [3, 0, 0, 1]]).T
    assert measures["pair_accuracy"](weights) == pytest.approx([0.5, 1])
    assert measures["unseen_pair_accuracy"](weights) == pytest.approx([1, 1])


@pytest.mark.parametrize("name", ["ranking", "pairs"])
def test_an_image_alone_has_no_label(name):
    kind, labels = KINDS[name](minimum=0.0, maximum=100.0), np.full(4, -1)
    assert kind.is_of_pairs and not kind.is_labelled(labels).any()
    assert not kind.mistakes(SCORES, labels).any()
    assert not len(kind.doubts(SCORES, labels).places)
    assert kind.promise(SCORES[0], 0.5, 1.0) == {} and kind.promised == ()
    assert kind.count_labels(labels, np.full(4, "")) == {}
    assert kind.written_score(SCORES).tolist() == [3, 2, 2, 5]
    with pytest.raises(TypeError, match="no labels of images"):
        kind.read_table(pd.DataFrame())
    assert "only differences" in kind.purpose
