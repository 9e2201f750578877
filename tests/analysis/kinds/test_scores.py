"""Answers of one number, whatever they were learnt from."""

import numpy as np
import pytest

from iqa_jax.analysis.kinds import KINDS
from iqa_jax.analysis.kinds.scores import Scores

SCORED = [kind for kind in KINDS.values() if issubclass(kind, Scores)]
every_kind_of_scores = pytest.mark.parametrize("kind", SCORED, ids=lambda kind: kind.name)
PASSES, VIEWS = np.array([[0.1], [0.2], [0.6]]), np.array([[0.2], [0.5]])


def test_numbers_and_pairs_are_answered_with_scores():
    assert {kind.name for kind in SCORED} == {"numeric", "ranking", "pairs"}


@every_kind_of_scores
def test_an_answer_is_its_one_number_and_names_no_class(kind):
    made = kind()
    np.testing.assert_array_equal(made.score_of(VIEWS), [0.2, 0.5])
    assert made.label_of(VIEWS[0]) == "" and made.late_fusions == ("mean_score",)


@every_kind_of_scores
def test_doubt_is_what_passes_and_views_differ_by(kind):
    made = kind()
    by_passes, by_views = np.sqrt(0.14 / 3), 0.15  # Mean 0.3: 0.04 + 0.01 + 0.09.
    assert made.uncertainty(VIEWS[0], PASSES, None) == pytest.approx(by_passes)
    assert made.uncertainty(VIEWS[0], PASSES[:1], VIEWS) == pytest.approx(by_views)
    both = made.uncertainty(VIEWS[0], PASSES, VIEWS)
    assert both == pytest.approx(np.sqrt(by_passes**2 + by_views**2))
    # One of each says nothing.
    assert made.uncertainty(VIEWS[0], PASSES[:1], VIEWS[:1]) is None
    assert made.uncertainty(VIEWS[0], None, None) is None
