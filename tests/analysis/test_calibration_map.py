"""A map of probabilities finds what was planted, keeps orders, and trusts few images little."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax, logit, softmax

from iqa_jax.analysis import kinds
from iqa_jax.analysis.calibration_map import CalibrationMap, fit_calibration_map
from iqa_jax.analysis.metrics import class_metrics

KINDS = {"binary": 2, "unordered": 4, "ordered": 4}


def draw(kind: str, rows: int, seed: int = 0):
    """True probabilities of rows, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    if kind == "ordered":  # One quality, seen through thresholds.
        is_above = expit(rng.normal(0, 2, (rows, 1)) + np.array([1.5, 0.0, -1.5]))
        true = -np.diff(is_above, axis=1, prepend=1, append=0)
    else:
        true = softmax(rng.normal(0, 1.5, (rows, KINDS[kind])), axis=1)
    labels = (rng.uniform(size=(rows, 1)) > true.cumsum(axis=1)).sum(axis=1)
    return true, np.minimum(labels, KINDS[kind] - 1)


def spoil(true: np.ndarray, slope: float = 2.0, shift: float = -1.5) -> np.ndarray:
    """Probabilities whose true ones are a map away: the last class is made improbable."""
    biases = np.linspace(0, shift, true.shape[1])
    return softmax((np.log(true) - biases) / slope, axis=1)


def test_a_planted_slope_and_bias_are_found():
    true, labels = draw("binary", 20_000)
    raw = spoil(true)
    found = fit_calibration_map(raw, labels, is_ordered=False)
    assert found.slope == pytest.approx(2.0, rel=0.04)
    assert found.biases[1] - found.biases[0] == pytest.approx(-1.5, abs=0.06)
    assert sum(found.biases) == pytest.approx(0, abs=1e-9) and found.images == 20_000
    np.testing.assert_allclose(found(raw), true, atol=0.02)
    true, labels = draw("unordered", 20_000)
    found = fit_calibration_map(spoil(true), labels, is_ordered=False)
    assert found.slope == pytest.approx(2.0, rel=0.04)
    np.testing.assert_allclose(np.diff(found.biases), [-0.5] * 3, atol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_new_rows_of_spoilt_probabilities_are_calibrated(kind):
    true, labels = draw(kind, 5000)
    found = fit_calibration_map(spoil(true), labels, kind == "ordered")
    true, labels = draw(kind, 20_000, seed=1)
    raw = spoil(true)
    before, after = (class_metrics(p, labels, True)["ece"] for p in (raw, found(raw)))
    assert after < 0.015 and after < before / 2
    np.testing.assert_allclose(found(raw).sum(axis=1), 1)
    assert (found(raw) >= 0).all()
    assert (found(raw).argmax(axis=1) == labels).mean() > (raw.argmax(axis=1) == labels).mean()


def test_a_shift_that_no_temperature_mends_moves_the_labels():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    good = np.clip(rng.normal(np.where(labels == 1, 0.36, 0.08), 0.04), 0.01, 0.49)
    raw = np.stack([1 - good, good], axis=1)
    assert (raw.argmax(axis=1) == labels).mean() < 0.6
    found = fit_calibration_map(raw, labels, is_ordered=False)
    assert (found(raw).argmax(axis=1) == labels).mean() > 0.99


@pytest.mark.parametrize("kind", ["binary", "ordered"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("labelling", ["true", "permuted", "reversed", "separated"])
def test_the_order_of_scores_is_exactly_what_it_was(kind, dtype, labelling):
    true, labels = draw(kind, 3000)
    # Also what is all but certain, where a logistic alone rounds to 0 and to 1.
    logits = np.concatenate([np.log(spoil(true)), 8 * np.log(true[:1000])])
    raw = softmax(logits, axis=1).astype(dtype)
    labels = np.concatenate([labels, labels[:1000]])
    k = KINDS[kind]
    if labelling == "permuted":
        labels = np.random.default_rng(1).permutation(labels)
    elif labelling == "reversed":
        labels = k - 1 - labels
    elif labelling == "separated":
        labels = np.digitize(kinds.KINDS[kind]().score_of(raw), np.arange(1, k) / k)
    found = fit_calibration_map(raw, labels, kind == "ordered")
    score_of = kinds.KINDS[kind]().score_of
    before, after = score_of(raw.astype(np.float64)), score_of(found(raw))
    order = np.argsort(before, kind="stable")
    rises = np.diff(before[order]) > 1e-12
    assert rises.sum() > 2500
    assert (np.diff(after[order])[rises] > 0).all()
    if kind == "binary":  # Images of one score still have one.
        assert (np.diff(after[order])[np.diff(before[order]) == 0] == 0).all()


@pytest.mark.parametrize("slope", [1e-3, 1.0, 60.0])
def test_neighbours_next_to_certainty_stay_apart(slope):
    good = np.float32(1) - np.arange(200, dtype=np.float32) * np.float32(2**-24)
    raw = np.stack([1 - good, good], axis=1)
    mapped = CalibrationMap(slope, (-2.0, 2.0), 0.999, False, 9)(raw)[:, 1]
    assert (np.diff(mapped) < 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_few_images_do_no_harm_and_more_do_good(kind):
    """Where the weight of the raw answers comes from: one image per parameter fails here."""
    true, _ = draw(kind, 1000, seed=9)

    def excess(rows, spoil):
        found = []
        for seed in range(4 if kind == "ordered" else 20):
            seen, labels = draw(kind, rows, seed=100 + seed)
            fitted = fit_calibration_map(spoil(seen), labels, kind == "ordered")
            answers = fitted(spoil(true)) if fitted else spoil(true)
            found.append((true * np.log(true / answers)).sum(axis=1).mean())
        return np.mean(found)

    raw = (true * np.log(true / spoil(true))).sum(axis=1).mean()
    three, thirty = (excess(rows, spoil) for rows in (3, 30))
    assert three < 1.25 * raw and thirty < 0.7 * raw
    # Raw answers that need no map hardly get one.
    assert excess(3, lambda true: true) < 0.08


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_agree_with_the_raw_answers_leave_the_identity(kind):
    true, labels = draw(kind, 20_000)
    found = fit_calibration_map(true, labels, kind == "ordered")
    np.testing.assert_allclose(found(true), true, atol=0.03)


def test_one_image_of_each_class_is_drawn_towards_the_identity():
    raw, labels = np.array([[0.6, 0.4], [0.5, 0.5]]), np.array([0, 1])
    found = fit_calibration_map(raw, labels, is_ordered=False)
    # A label weighs 1, and its raw answer 4 images × 2 parameters / 2: nothing runs away.
    expected = (np.array([0, 1]) + 4 * raw[:, 1]) / 5
    np.testing.assert_allclose(found(raw)[:, 1], expected, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_without_sense_make_a_map_that_is_flat_but_rises(kind):
    true, labels = draw(kind, 6000)
    labels = np.random.default_rng(3).permutation(labels)
    raw = spoil(true)
    found = fit_calibration_map(raw, labels, kind == "ordered")
    shares = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(found(raw), np.tile(shares, (len(raw), 1)), atol=0.08)
    assert found.slope > 0


@pytest.mark.parametrize("kind", KINDS)
def test_perfect_separation_stays_finite(kind):
    k = KINDS[kind]
    labels = np.repeat(np.arange(k), 20)
    raw = softmax(2.0 * np.eye(k)[labels], axis=1)
    found = fit_calibration_map(raw, labels, kind == "ordered")
    own = found(raw)[np.arange(len(labels)), labels]
    assert np.isfinite(found(raw)).all() and found.slope < 1e3
    assert (raw.max(axis=1) < own).all() and (own < 1).all()
    votes = fit_calibration_map(np.eye(k)[labels], labels, kind == "ordered")
    assert np.isfinite(votes(np.eye(k))).all()
    np.testing.assert_array_equal(votes(np.eye(k)).argmax(axis=1), np.arange(k))


def test_votes_of_0_and_1_that_err_are_not_certain():
    labels = np.repeat([0, 1, 1, 0], [18, 2, 18, 2])
    votes = np.repeat([[1.0, 0.0], [0.0, 1.0]], 20, axis=0)
    found = fit_calibration_map(votes, labels, is_ordered=False)
    np.testing.assert_allclose(found(np.eye(2)).diagonal(), (18 + 4) / 24, atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_one_class_or_no_image_fits_nothing(kind):
    raw, labels = draw(kind, 9)
    assert fit_calibration_map(raw, np.ones(9, int), kind == "ordered") is None
    assert fit_calibration_map(raw[:0], labels[:0], kind == "ordered") is None


def test_two_classes_without_an_order_are_platt_scaling():
    true, labels = draw("binary", 500)
    raw = spoil(true)
    found = fit_calibration_map(raw, labels, is_ordered=False)
    expected = expit(found.slope * logit(raw[:, 1]) + found.biases[1] - found.biases[0])
    np.testing.assert_allclose(found(raw)[:, 1], 0.999 * expected + 0.001 * raw[:, 1])
    # The classes' names are not their order: either may come first.
    swapped = fit_calibration_map(raw[:, ::-1], 1 - labels, is_ordered=False)
    np.testing.assert_allclose(swapped(raw[:, ::-1])[:, ::-1], found(raw), atol=1e-5)


def test_the_fit_is_the_optimum_of_its_penalised_likelihood():
    true, labels = draw("unordered", 40)
    raw = spoil(true)
    found = fit_calibration_map(raw, labels, is_ordered=False)
    targets = np.eye(4)[labels] + 4 * 4 / 40 * raw

    def loss(slope, biases):
        return -(targets * log_softmax(slope * np.log(raw) + np.array(biases), axis=1)).sum()

    best, rng = loss(found.slope, found.biases), np.random.default_rng(0)
    for _ in range(100):
        step = rng.normal(0, 0.05, 5)
        assert loss(found.slope + step[0], found.biases + step[1:]) > best


def test_any_leading_axes_are_images():
    true, labels = draw("ordered", 60)
    for is_ordered in (False, True):
        found = fit_calibration_map(spoil(true), labels, is_ordered)
        np.testing.assert_array_equal(found(true.reshape(3, 20, 4)).reshape(60, 4), found(true))
        np.testing.assert_array_equal(found(true[7]), found(true)[7])
