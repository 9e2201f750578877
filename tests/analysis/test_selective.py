"""Risk and coverage by hand; what a good, a useless and a tied uncertainty are worth."""

import numpy as np
import pytest

from iqa_jax.analysis.selective import risk_coverage


def test_the_curve_by_hand():
    found = risk_coverage(np.array([0.4, 0.1, 0.3, 0.2]), np.array([1, 0, 1, 0]))
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.risk, [0, 0, 1 / 3, 1 / 2])
    assert found.aurc == found.best_aurc == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert found.full_risk == 0.5
    assert found.risk_at(0.5) == 0 and found.risk_at(0.51) == pytest.approx(1 / 3)
    assert found.risk_at(1.0) == 0.5


def test_the_order_of_equally_uncertain_images_does_not_matter():
    rng = np.random.default_rng(0)
    loss, uncertainty = rng.uniform(size=40), rng.integers(0, 4, 40)
    order = rng.permutation(40)
    found, shuffled = (
        risk_coverage(uncertainty, loss),
        risk_coverage(uncertainty[order], loss[order]),
    )
    np.testing.assert_allclose(found.risk, shuffled.risk)
    # It is the mean over all orders.
    curves = []
    for _ in range(3000):
        order = rng.permutation(40)
        order = order[np.argsort(uncertainty[order], kind="stable")]
        curves.append(np.cumsum(loss[order]) / np.arange(1, 41))
    np.testing.assert_allclose(found.risk, np.mean(curves, axis=0), atol=0.03)
    constant = risk_coverage(np.zeros(40), loss)
    np.testing.assert_allclose(constant.risk, loss.mean())


def test_only_the_order_of_the_uncertainty_counts():
    rng = np.random.default_rng(1)
    loss = rng.uniform(size=200)
    noisy = loss + rng.normal(scale=0.3, size=200)
    good, same = risk_coverage(noisy, loss), risk_coverage(np.exp(5 * noisy), loss)
    assert good.aurc == same.aurc
    useless, wrong = risk_coverage(rng.uniform(size=200), loss), risk_coverage(-loss, loss)
    assert good.best_aurc < good.aurc < useless.aurc < wrong.aurc
    assert useless.aurc == pytest.approx(loss.mean(), abs=0.1)


def test_bad_input_is_refused(unchecked_types):
    with pytest.raises(ValueError, match="do not go with"):
        risk_coverage(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="do not go with"):
        risk_coverage(np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="not finite"):
        risk_coverage(np.array([np.nan]), np.zeros(1))
