"""What a run's report shows, filled from evaluations, metrics.json and tables of predictions."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from configs import default
from input_pipeline.files.images import ImageError
from input_pipeline.tiles.sources import Layout
from input_pipeline.tiles.tiling import Tiling, grid
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.reporting.pages.report import Table
from iqa_jax.reporting.reported_run import reported_run_from_config
from iqa_jax.reporting.run_images import Plane
from iqa_jax.reporting.run_report import run_report
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.answered import Answered

TILING = Tiling(size=16, stride=16, edge="shift")
GRID = grid(16, 32, TILING)
GONE = 3


def kind_of(name):
    config = default.get_config()
    config.data.label_kind = name
    return kind_from_config(config)


class Source:
    """Pictures in memory whose file number `GONE` has been deleted."""

    tiling = TILING

    def image(self, index):
        if index == GONE:
            raise ImageError("gone.png: the file cannot be read")
        return np.full((16, 32, 3), index % 256, np.uint8)


class Evaluation:
    """One split: P(good) or scores, labels, and an image without an answer at the end."""

    headline = "mean_score"

    def __init__(self, values, labels, texts, first=0, kind="binary"):
        self.kind = kind_of(kind)
        values = np.asarray(values, np.float32)
        tiles = np.repeat(values[:, None], 2, axis=1)
        self.answers = [
            Answered(
                first + i, {"mean_score": row}, tiles[i], np.ones(2), Layout(GRID, 16, 32, 16 * 32)
            )
            for i, row in enumerate(values)
        ]
        nothing = np.zeros((0, values.shape[1]))
        last = len(values)
        self.answers.append(Answered(first + last, {}, nothing, nothing[:, 0], None, "cut off"))
        self.images = pd.DataFrame(
            {
                "name": [f"{first + i}.png" for i in range(last + 1)],
                "label": [*labels, labels[0]],
                "label_text": [*texts, texts[0]],
                "group": "scene",
            }
        )
        self.is_answered = np.array([True] * last + [False])

    def values(self, fusion):
        return np.array([answer.values[fusion] for answer in self.answers[:-1]])

    def table(self, **columns):
        table = pd.DataFrame({"path": self.images["name"]})
        return table.assign(**{name: [*values, None] for name, values in columns.items()})


GOOD = np.array([0.9, 0.02, 0.8, 0.97, 0.3, 0.1, 0.6])
LABELS = [1, 1, 0, 0, 0, 0, -1]
TEXTS = ["good", "good", "bad", "bad", "bad", "bad", "marginal"]


def binary(first=0):
    return Evaluation(np.stack([1 - GOOD, GOOD], axis=1), LABELS, TEXTS, first)


def figures_of(evaluation, kind="binary", **more):
    rows = evaluation.is_answered
    figures = KINDS[kind]().figures(
        evaluation.values("mean_score"), evaluation.images["label"].to_numpy()[rows]
    )
    return {
        "step": 7, "rows": len(rows), "errors": 1, "tiles": 14, "fusion": "mean_score",
        **figures, "fusions": {"mean_score": figures}, **more,
    }  # fmt: skip


@pytest.fixture
def workdir(tmp_path):
    (tmp_path / "audit.txt").write_text("7 images")
    return Workdir(tmp_path)


@pytest.fixture
def fill(workdir):
    def fill(evaluations, metrics, tables=None, kind="binary", thresholds=None, **more):
        config = default.get_config()
        config.data.label_kind = kind
        if kind == "numeric":
            config.early_stopping.metric = "srcc"
        tables = tables or {name: part.table() for name, part in evaluations.items()}
        return run_report(
            reported_run_from_config(config), workdir, Source(), evaluations, metrics, tables,
            thresholds, 7, "cmd", **more,
        )  # fmt: skip

    return fill


def shown(galleries):
    return {gallery.title: [example.name for example in gallery.examples] for gallery in galleries}


def test_test_and_holdout_come_first_and_val_last(fill):
    evaluations = {name: binary() for name in ("val", "holdout", "other", "test")}
    metrics = {name: figures_of(part) for name, part in evaluations.items()}
    report = fill(evaluations, metrics)
    order = ["test", "holdout", "other", "val"]
    assert [headline.split for headline in report.headlines] == order
    assert list(report.metrics) == order
    assert report.headlines[0].value == metrics["test"]["auroc"]
    assert "chosen on them" in report.headlines[3].note
    # What the checkpoint was chosen on is no example of how it does.
    assert {title.split(", ")[1] for title in shown(report.extremes)} == set(order) - {"val"}


def test_mistakes_are_wrong_answers_the_worst_first(fill):
    report = fill({"test": binary()}, {"test": figures_of(binary())})
    # 3.png is called good with 0.97 and bad, but its file is gone; the marginal image has no class.
    assert shown(report.mistakes) == {"Worst mistakes, test": ["1.png", "2.png"]}
    assert report.mistakes[0].examples[0].predicted == "bad"
    assert [confusion.counts for confusion in report.confusions] == [[[2, 2], [1, 1]]]


def test_labels_to_check_are_those_the_scorer_thinks_improbable(fill):
    evaluations = {"test": binary(), "val": binary(first=10)}
    report = fill(evaluations, {name: figures_of(part) for name, part in evaluations.items()})
    found = [(row.name, row.split, row.label, row.predicted) for row in report.suspects.rows]
    # The labels of 1 and 11 have a probability of 0.02, those of 3 (gone) and 13 of 0.03.
    assert found == [
        ("1.png", "test", "good", "bad"),
        ("11.png", "val", "good", "bad"),
        ("13.png", "val", "bad", "good"),
    ]
    evidence = [row.evidence for row in report.suspects.rows]
    np.testing.assert_allclose(evidence, [0.02, 0.02, 0.03], rtol=1e-5)


def test_opinion_scores_far_from_all_others_are_suspicious(fill):
    labels = np.array([10.0, 20, 30, 40, 50, 60, 70], np.float32)
    errors = np.array([2.0, -1, 1, 0, -2, 1, 40], np.float32)
    texts = [str(label) for label in labels]
    evaluation = Evaluation((labels + errors)[:, None], labels, texts, kind="numeric")
    report = fill({"test": evaluation}, {"test": figures_of(evaluation, "numeric")}, kind="numeric")
    (suspect,) = report.suspects.rows
    # The median error is 1, that of distances to it is 1: a robust deviation of 1.4826.
    assert suspect.name == "6.png" and suspect.label == "70" and suspect.predicted == "110.0"
    assert suspect.evidence == pytest.approx(39 / 1.4826)
    assert shown(report.mistakes)["Worst mistakes, test"][:2] == ["6.png", "0.png"]
    assert not report.histograms and not report.confusions
    np.testing.assert_array_equal(report.scatters[0].targets, labels)
    np.testing.assert_array_equal(report.scatters[0].predictions, labels + errors)


def test_uncertain_images_are_shown_if_the_table_tells_them(fill):
    evaluation = binary()
    assert not fill({"test": evaluation}, {"test": figures_of(evaluation)}).uncertain
    table = evaluation.table(uncertainty=[0.1, 0.5, None, 0.9, 0.3, 0.7, 0.2])
    report = fill({"test": evaluation}, {"test": figures_of(evaluation)}, {"test": table})
    # The most uncertain, 3, is gone; 2 has none.
    names = ["5.png", "1.png", "4.png", "6.png", "0.png"]
    assert shown(report.uncertain) == {"Most uncertain, test": names}
    assert report.uncertain[0].examples[0].note == "uncertainty 0.700"


def test_plain_metrics_leave_the_other_parts_out(fill):
    report = fill({"test": binary()}, {"test": figures_of(binary())})
    assert not report.intervals and not report.interval_note and not report.three_class
    assert not report.reliabilities and not report.coverages and not report.localisation
    assert not report.projections
    assert [error.path for error in report.errors] == ["7.png"]
    assert report.warnings == ["1 of 8 images of test could not be read."]


CALIBRATION = {
    "ece": 0.12,
    "reliability": [
        {"low": 0.0, "high": 0.5, "count": 0, "confidence": None, "accuracy": None},
        {"low": 0.5, "high": 1.0, "count": 6, "confidence": 0.8, "accuracy": 0.5},
    ],
    "ece_raw": 0.25,
    "reliability_raw": [{"low": 0.5, "high": 1.0, "count": 6, "confidence": 0.6, "accuracy": 0.5}],
}


def test_every_part_is_filled_from_metrics_that_have_it(fill):
    more = {
        "groups": 3,
        "intervals": {"auroc": [0.5, 0.9], "f1": None, "accuracy": [None, None]},
        "calibration": CALIBRATION,
        "selective": {
            "loss": "share of wrong answers", "aurc": 0.2,
            "curve": {"coverage": [0.5, 1.0], "risk": [0.0, 0.5]},
        },
        "localisation": {
            "images": 4, "region_share": 0.25,
            "maps": {"grad_cam": {"pixel_auc": 0.8, "pointing_game": None}},
        },
        "disagrees_with_test": ["auroc is 0.9 on test and 0.5 on holdout"],
        "seen_in_training": 2,
        "three_class": {"n": 7, "accuracy": 0.5, "intervals": {"accuracy": [0.4, 0.6]},
                        "confusion": [[1, 1, 1], [0, 1, 0], [1, 0, 1]]},
    }  # fmt: skip
    metrics = {"holdout": figures_of(binary(), **more)}
    # As metrics.json keeps them.
    report = fill({"holdout": binary()}, json.loads(json.dumps(metrics)), thresholds=(0.3, 0.7))
    assert report.intervals == {"holdout": {"auroc": (0.5, 0.9)}}
    assert report.headlines[0].interval == (0.5, 0.9) and report.interval_note
    assert report.headlines[0].note == "Mean score over 6 images of 3 groups"
    assert report.warnings[0] == "auroc is 0.9 on test and 0.5 on holdout."
    assert "2 images of holdout trained this run" in report.warnings[1]
    answered, raw = report.reliabilities[0].curves
    assert (answered.ece, raw.ece) == (0.12, 0.25) and raw.name == "before calibration"
    assert answered.count.tolist() == [6], "empty bins are no points"
    assert report.coverages[0].risk.tolist() == [0.0, 0.5] and report.coverages[0].area == 0.2
    assert report.localisation[0].rows == [["Grad-CAM", 0.8, None]]
    assert "25 %" in report.localisation[0].caption
    assert report.three_class_intervals == {"holdout": {"accuracy": (0.4, 0.6)}}
    assert report.confusions[1].classes == ("bad", "marginal", "good")
    assert report.histograms[0].thresholds == {"bad below": 0.3, "good from": 0.7}


def test_the_fitted_curve_is_drawn_where_it_is_given(fill):
    labels = np.linspace(0, 90, 7, dtype=np.float32)
    texts = [str(label) for label in labels]
    evaluation = Evaluation(labels[:, None], labels, texts, kind="numeric")
    score_map = {"kind": "logistic_4", "curve": [[0.0, 10.0], [90.0, 80.0]]}
    metrics = {"test": figures_of(evaluation, "numeric", score_map=score_map)}
    (scatter,) = fill({"test": evaluation}, metrics, kind="numeric").scatters
    np.testing.assert_array_equal(scatter.mapping, [[0, 10], [90, 80]])
    assert scatter.mapping_name == "Logistic 4 map, fitted on train"
    metrics = {"test": figures_of(evaluation, "numeric", score_map=None)}
    assert fill({"test": evaluation}, metrics, kind="numeric").scatters[0].mapping is None


def test_maps_and_planes_find_their_images(fill):
    evaluations = {"val": binary(first=10), "test": binary()}
    metrics = {name: figures_of(part) for name, part in evaluations.items()}
    points = {name: np.arange(14.0).reshape(7, 2) + 100 * (name == "val") for name in evaluations}
    purity = Table("Purity", ["of", "share"], [["class", 0.9]])
    report = fill(
        evaluations, metrics, planes=[Plane("t-SNE", "All images.", points, purity)],
        overlays=lambda image_id: {"Grad-CAM": np.full((2, 2, 3), image_id, np.uint8)},
    )  # fmt: skip
    (projection,) = report.projections
    assert projection.names == ("0.png", "1.png", "2.png", *(f"{i}.png" for i in (4, 5, 6)),
                                *(f"1{i}.png" for i in range(7)))  # fmt: skip
    assert projection.n_images == 14, "one of them is gone"
    np.testing.assert_array_equal(projection.points[3], [8, 9])
    np.testing.assert_array_equal(projection.points[6], [100, 101])
    assert projection.splits == ["test"] * 6 + ["val"] * 7
    assert projection.labels[5] == "marginal" and projection.classes == ["bad", "marginal", "good"]
    assert [image[0, 0, 0] for image in projection.images[:4]] == [0, 1, 2, 4]
    worst = report.mistakes[0].examples[0]
    assert worst.maps["Grad-CAM"][0, 0, 0] == 1
    short = {**points, "test": points["test"][1:]}
    with pytest.raises(ValueError, match="6 points for the 7 images of test"):
        fill(evaluations, metrics, planes=[Plane("t-SNE", "", short)])


def test_a_split_without_any_answer_has_figures_that_are_undefined(fill):
    evaluation = binary()
    nobody = SimpleNamespace(
        answers=evaluation.answers[-1:],
        images=evaluation.images.iloc[-1:],
        is_answered=np.array([False]),
    )
    metrics = {"test": {"step": 7, "rows": 1, "errors": 1, "tiles": 0, "fusion": "mean_score",
                        "fusions": {}}}  # fmt: skip
    report = fill({"test": nobody}, metrics, {"test": evaluation.table()[-1:]})
    assert report.headlines[0].value is None
    assert report.suspects is None and not report.mistakes and not report.confusions
