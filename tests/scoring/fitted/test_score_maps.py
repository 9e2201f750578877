"""Maps from scores to labels: one per fusion, a logistic where it can be."""

import numpy as np

from iqa_jax.scoring.fitted.score_maps import fit_score_maps


def test_planted_maps_are_found(capsys):
    scores = np.linspace(0, 100, 60)
    labels = 80 / (1 + np.exp(-(scores - 40) / 12)) + 10
    found = fit_score_maps({"mean_score": scores, "vote": 2 * scores}, labels)
    assert found["mean_score"].kind == found["vote"].kind == "logistic_4"
    for fusion, given in (("mean_score", scores), ("vote", 2 * scores)):
        np.testing.assert_allclose(found[fusion](given), labels, atol=1e-3)
        assert found[fusion].rows == 60
    assert capsys.readouterr().out == ""


def test_a_simpler_map_is_told_of_with_its_fusion(capsys):
    found = fit_score_maps({"vote": np.array([1.0, 2.0, 3.0])}, np.array([3.0, 5.0, 7.0]))
    np.testing.assert_allclose(found["vote"](np.array([4.0])), 9.0)
    said = capsys.readouterr().out
    assert said.startswith("plcc_mapped and rmse_mapped of vote: 3 different predictions")
