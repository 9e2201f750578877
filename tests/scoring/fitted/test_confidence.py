"""What is fitted after training, and what each row then says."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from iqa_jax.analysis.ood import Domain, fit_domain
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.confidence import (
    COLUMNS,
    Confidence,
    confidence_metrics,
    confidence_row,
    confidence_settings_from_config,
    fit_confidence,
    read_confidence,
    uncertainty_of,
    write_confidence,
)

DIM = 5


def make_answer(values, embedding=None, samples=None, views=None, image_id=0) -> Answered:
    values = np.atleast_1d(np.asarray(values, np.float64))
    return Answered(
        image_id,
        {"mean_score": values},
        values[None],
        np.ones(1),
        None,
        embedding=np.zeros(DIM) if embedding is None else embedding,
        samples=samples,
        views=values[None] if views is None else views,
    )


BAD = Answered(0, {}, np.zeros((0, 2)), np.zeros(0), None, "text.jpg: not an image")


settings_of = confidence_settings_from_config


def unsure(config, answer):
    return uncertainty_of(kind_from_config(config), "mean_score", answer)


@pytest.fixture
def numeric_config(tiny_config):
    tiny_config.data.label_kind, tiny_config.early_stopping.metric = "numeric", "srcc"
    tiny_config.balanced_sampling = False
    check_config(tiny_config)
    return tiny_config


def simulate(kind: str, count: int, seed: int) -> tuple[list[Answered], np.ndarray]:
    """Makes answers that are often wrong, and the labels; their law does not depend on the seed."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(count, DIM))
    if kind == "numeric":
        labels = rng.uniform(0, 100, count)
        values = labels[:, None] + rng.normal(0, 12, (count, 1))
    else:
        labels = rng.integers(0, 2, count)
        good = 1 / (1 + np.exp(-(labels * 2 - 1) * 0.8 - rng.normal(0, 1.5, count)))
        values = np.stack([1 - good, good], axis=1)
    answers = [
        make_answer(value, embedding, image_id=row)
        for row, (value, embedding) in enumerate(zip(values, embeddings, strict=True))
    ]
    return answers, labels


def fit(config, kind="binary", count=1500):
    answers, labels = simulate(kind, count, seed=0)
    images = pd.DataFrame({"label": labels, "group": [f"scene{n}" for n in range(count)]})
    train, _ = simulate(kind, 300, seed=1)
    return fit_confidence(
        settings_of(config), answers, images, range(300), lambda ids: (train[i] for i in ids)
    )


@pytest.mark.parametrize("kind", ["binary", "numeric"])
def test_new_rows_are_covered_and_flagged_as_often_as_asked(kind, request):
    config = request.getfixturevalue("numeric_config" if kind == "numeric" else "tiny_config")
    answers, labels = simulate(kind, 4000, seed=2)
    config.uncertainty.coverage = 0.8
    figures = confidence_metrics(settings_of(config), answers, labels, fit(config, kind))
    # Four standard errors of both samples together.
    assert abs(figures["coverage"] - 0.8) < 4 * np.sqrt(0.8 * 0.2 * (1 / 4000 + 1 / 1500))
    assert abs(figures["out_of_domain"] - 0.05) < 4 * np.sqrt(0.05 * 0.95 * (1 / 4000 + 1 / 1500))
    if kind == "numeric":
        # The errors' 90th percentile, both ways, but for what the scale cuts off.
        assert 0.85 * 2 * 1.2816 * 12 < figures["interval_width"] < 2 * 1.2816 * 12 * 1.05
    else:
        # There is something to abstain from, and something not to.
        assert 0.02 < figures["abstained"] < 0.6


def test_a_row_says_what_its_sets_and_metrics_say(tiny_config):
    confidence = Confidence(quantile=0.7)
    rows = [confidence_row(settings_of(tiny_config), make_answer((1 - p, p)), confidence)
            for p in (0.1, 0.31, 0.69, 0.9)]  # fmt: skip
    assert [row["abstain"] for row in rows] == [False, True, True, False]
    assert all(row["lower"] is row["upper"] is row["ood"] is None for row in rows)
    # Below a half no class may be probable enough: that is no answer either.
    assert confidence_row(settings_of(tiny_config), make_answer((0.55, 0.45)), Confidence(0.4))[
        "abstain"
    ]


def test_an_interval_is_written_in_the_direction_of_the_label(numeric_config):
    config, confidence = numeric_config, Confidence(quantile=12.0)
    row = confidence_row(settings_of(config), make_answer(70.0), confidence)
    assert (row["lower"], row["upper"]) == (58.0, 82.0) and row["abstain"] is None
    config.data.higher_is_better = False
    row = confidence_row(settings_of(config), make_answer(70.0), confidence)
    assert (row["lower"], row["upper"]) == (18.0, 42.0)
    # Labels lie on their scale; the interval ends there.
    row = confidence_row(settings_of(config), make_answer(95.0), confidence)
    assert (row["lower"], row["upper"]) == (0.0, 17.0)


def test_scaled_intervals_are_wide_where_passes_differ(numeric_config):
    config = numeric_config
    config.uncertainty.mc_samples, config.uncertainty.scale_intervals = 2, True
    check_config(config)
    widths = []
    for spread in (0.0, 2.0, 6.0):
        answer = make_answer(50.0, samples=np.array([[50 - spread], [50 + spread]]))
        row = confidence_row(settings_of(config), answer, Confidence(quantile=3.0))
        assert row["uncertainty"] == spread
        widths.append(row["upper"] - row["lower"])
    # Twice the quantile times the spread and one hundredth of the scale.
    np.testing.assert_allclose(widths, [6, 18, 42])


def test_mutual_information_is_of_classes_over_passes(numeric_config):
    samples = np.array([[0.0, 1.0], [1.0, 0.0]])
    answer = make_answer((0.5, 0.5), samples=samples)
    row = confidence_row(
        settings_of(numeric_config), make_answer(50.0, samples=samples[:, :1]), Confidence()
    )
    assert row["uncertainty"] == 0.5 and row["mutual_information"] is None
    numeric_config.data.label_kind = "binary"
    row = confidence_row(settings_of(numeric_config), answer, Confidence())
    # Each sample is sure, and they contradict each other.
    assert row["mutual_information"] == row["uncertainty"] == pytest.approx(np.log(2))
    row = confidence_row(settings_of(numeric_config), make_answer((0.5, 0.5)), Confidence())
    assert row["mutual_information"] is None


def test_uncertainty_is_over_passes_and_views(numeric_config):
    config = numeric_config
    samples = np.array([[[10.0]], [[14.0]]])[:, 0]
    views = np.array([[11.0], [17.0]])
    assert unsure(config, make_answer(12.0)) is None
    assert unsure(config, make_answer(12.0, samples=samples)) == 2
    assert unsure(config, make_answer(12.0, views=views)) == 3
    both = make_answer(12.0, samples=samples, views=views)
    assert unsure(config, both) == pytest.approx(np.hypot(2, 3))
    config.data.label_kind = "binary"
    sure = make_answer((0.5, 0.5), views=np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert unsure(config, sure) == pytest.approx(np.log(2))
    sure = make_answer((0.0, 1.0), samples=np.array([[0.0, 1.0]] * 3))
    assert unsure(config, sure) == 0


@pytest.mark.parametrize("score", [2.5, 3.3333333, 97.5, 96.66667, 99.97253])
@pytest.mark.parametrize("is_scaled", [False, True])
def test_an_interval_reaches_the_label_at_an_end_that_set_it(numeric_config, score, is_scaled):
    config = numeric_config
    config.uncertainty.scale_intervals = is_scaled
    score = np.float32(score)
    samples = np.array([[score - 0.7], [score + 0.1]], np.float32)
    answer = make_answer(score, samples=samples)
    for end in (0.0, 100.0):
        # The quantile is the score of this very image.
        width = unsure(config, answer) + 1 if is_scaled else 1.0
        row = confidence_row(
            settings_of(config), answer, Confidence(abs(float(score) - end) / width)
        )
        assert 0 <= row["lower"] <= score <= row["upper"] <= 100
        assert row["lower"] <= end <= row["upper"]


def test_marginal_images_fit_nothing(tiny_config):
    answers, labels = simulate("binary", 400, seed=0)
    marginal, _ = simulate("binary", 400, seed=5)
    train = [*answers, *marginal]
    tiny_config.uncertainty.ood = "none"

    def quantile(answers, labels):
        images = pd.DataFrame({"label": labels, "group": "one"})
        return fit_confidence(
            settings_of(tiny_config), answers, images, [], lambda ids: iter(())
        ).quantile

    with_marginal = quantile(train, np.concatenate([labels, np.full(400, -1)]))
    assert with_marginal == quantile(answers, labels)


def test_few_rows_leave_columns_undefined_and_say_so(tiny_config, capsys):
    confidence = fit(tiny_config, count=8)
    assert confidence.quantile is None and confidence.ood_limit is None
    said = capsys.readouterr().out
    assert "abstain: undefined, val has 8 labelled images and a coverage of 0.9 needs 9" in said
    assert "ood: undefined, val has 8 images and a quantile of 0.95 needs 19" in said
    answers, labels = simulate("binary", 50, seed=3)
    row = confidence_row(settings_of(tiny_config), answers[0], confidence)
    assert row["abstain"] is row["ood"] is None and row["uncertainty"] > 0
    figures = confidence_metrics(settings_of(tiny_config), answers, labels, confidence)
    assert figures == {"coverage": None, "abstained": None, "out_of_domain": None}


def test_the_promise_is_said_to_be_over_the_scenes_that_it_was_fitted_on(tiny_config, capsys):
    answers, labels = simulate("binary", 100, seed=0)
    images = pd.DataFrame({"label": labels, "group": ["one", "two"] * 50})
    tiny_config.uncertainty.ood = "none"
    fit_confidence(settings_of(tiny_config), answers, images, [], lambda ids: iter(()))
    assert "the 100 images of val are of 2 groups" in capsys.readouterr().out
    fit(tiny_config)
    assert "groups" not in capsys.readouterr().out


def test_a_bad_image_has_no_column_and_no_say(tiny_config):
    confidence = fit(tiny_config)
    assert confidence_row(settings_of(tiny_config), BAD, confidence) == dict.fromkeys(COLUMNS)
    answers, labels = simulate("binary", 60, seed=4)
    with_bad = confidence_metrics(
        settings_of(tiny_config), [BAD, *answers], np.append(1, labels), confidence
    )
    assert with_bad == confidence_metrics(settings_of(tiny_config), answers, labels, confidence)


def test_what_is_fitted_is_read_back_for_its_step_and_settings_only(tiny_config, tmp_path):
    workdir, confidence = Workdir(tmp_path), fit(tiny_config)
    assert read_confidence(workdir, 7, settings_of(tiny_config)) is None
    write_confidence(workdir, 7, settings_of(tiny_config), confidence)
    back = read_confidence(workdir, 7, settings_of(tiny_config))
    assert (back.quantile, back.ood_limit) == (confidence.quantile, confidence.ood_limit)
    new = np.random.default_rng(0).normal(size=(20, DIM))
    np.testing.assert_allclose(
        back.domain.mahalanobis(new), confidence.domain.mahalanobis(new), rtol=1e-5
    )
    assert read_confidence(workdir, 8, settings_of(tiny_config)) is None
    tiny_config.uncertainty.coverage = 0.8
    assert read_confidence(workdir, 7, settings_of(tiny_config)) is None
    nothing = Confidence()
    write_confidence(workdir, 7, settings_of(tiny_config), nothing)
    assert read_confidence(workdir, 7, settings_of(tiny_config)) == nothing
    (tmp_path / "confidence.npz").write_bytes(b"PK torn")
    with pytest.raises(WorkdirError, match="confidence.npz is damaged.*delete it and give the tr"):
        read_confidence(workdir, 7, settings_of(tiny_config))


def test_the_domain_is_fitted_on_so_many_train_images_and_no_others(tiny_config):
    tiny_config.uncertainty.ood_images = 40
    asked = []

    def score(ids):
        asked.extend(ids)
        return (make_answer((0, 1), np.random.default_rng(i).normal(size=DIM)) for i in ids)

    answers, labels = simulate("binary", 50, seed=0)
    images = pd.DataFrame({"label": labels, "group": "one"})
    train = list(range(100, 200))
    confidence = fit_confidence(settings_of(tiny_config), answers, images, train, score)
    assert len(asked) == len(set(asked)) == 40 and set(asked) <= set(train)
    expected = fit_domain(
        np.array([np.random.default_rng(i).normal(size=DIM) for i in sorted(asked)])
    )
    for field in dataclasses.fields(Domain):
        np.testing.assert_array_equal(
            getattr(confidence.domain, field.name), getattr(expected, field.name)
        )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tta.flips": "horizontl"}, 'did you mean "horizontal"'),
        ({"tta.scales": (1.0,)}, "tta.scales has 1.0"),
        ({"tta.shifts": -1}, "tta.shifts is -1"),
        ({"uncertainty.mc_samples": 1}, "one sample has no spread"),
        ({"uncertainty.mc_samples": 10, "model.dropout": 0.0}, "needs dropout"),
        ({"uncertainty.scale_intervals": True}, "needs numeric labels"),
        ({"uncertainty.coverage": 1.0}, "uncertainty.coverage is 1.0"),
        ({"uncertainty.ood": "distance"}, "the choices are none, nearest, mahalanobis"),
        ({"uncertainty.split": "train"}, "whose answers flatter"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(tiny_config, changes, problem):
    tiny_config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=problem) as raised:
        check_config(tiny_config)
    assert len(raised.value.problems) == 1
