"""The founding questions at toy size: planted embeddings of drawn pictures, a few updates."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmarks import (
    founding_bench,
    founding_distances,
    founding_noise,
    founding_questions,
    founding_views,
)
from benchmarks.founding_bench import Bench
from benchmarks.founding_distances import ask_anomaly, ask_copies, ask_ood, ask_separability
from benchmarks.founding_figures import Answers, compare, format_comparison
from benchmarks.founding_heads import Tiles, draw_order
from benchmarks.founding_noise import ask_left_out, ask_noise, flip_labels
from benchmarks.founding_questions import ask_fusions, ask_labels
from benchmarks.founding_rows import read_rows
from input_pipeline.tables.manifest import read_split_rows

IMAGES, DIM, SIZE = 150, 8, 60


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """150 pictures of noise, the last third tested; picture 149 is picture 0 in another file."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(IMAGES - 1):
        coarse = rng.integers(0, 255, (8, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(coarse, (64, 64)))
    cv2.imwrite(str(folder / f"{IMAGES - 1}.png"), cv2.imread(str(folder / "0.png")))
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(IMAGES)],
            "mos": rng.permutation(np.linspace(0.02, 0.98, IMAGES)),
            "split": np.where(np.arange(IMAGES) < 100, "train", "test"),
            "scene": np.arange(IMAGES) // 2,
        }
    )
    table.to_csv(folder / "manifest.csv", index=False)
    return read_rows(folder / "manifest.csv", str(folder / "signatures"), val_images=30)


@pytest.fixture
def bench(rows, tmp_path, monkeypatch):
    """Four tiles an image, whose first dimension is the opinion score with some noise."""
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(len(rows.table), 4, DIM)).astype(np.float32)
    embeddings[..., 0] += 30 * rows.table["mos"].to_numpy()[:, None]
    grid = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int32)
    planted = Tiles(embeddings, grid, np.array([2, 2]))
    monkeypatch.setattr(founding_bench, "load_tiles", lambda config, manifest: planted)
    changes = {
        "host.signature_folder": str(tmp_path / "signatures"),
        "tiles.size": 32,
        "tiles.stride": 32,
        "model.hidden_dim": 8,
        "model.dropout": 0.1,
        "optimizer.learning_rate": 1e-2,
    }
    return Bench(rows, tmp_path, changes, {SIZE: 60})


def test_no_group_is_in_two_splits_and_the_copy_is_not_tested(rows):
    table = rows.table
    assert table.groupby("group")["split"].nunique().max() == 1
    assert table["split"].value_counts()["val"] == 30
    # Its scene goes with it.
    assert (
        len(table) == IMAGES - 2 and not table["path"].str.endswith(("/148.png", "149.png")).any()
    )
    grades = rows.grades(rows.split("train")["mos"].to_numpy())
    assert np.ptp(np.bincount(grades)) <= 1


def test_a_draw_is_listed_for_other_runs(rows, tmp_path):
    splits = pd.Series(read_split_rows(rows.list_draw(tmp_path / "rows.csv", SIZE, 0)))
    assert splits.value_counts()[["train", "val"]].tolist() == [SIZE, 30]
    drawn = rows.draw(SIZE, 0)
    assert set(splits.index[splits == "train"]) == set(drawn.loc[drawn["split"] == "train", "path"])
    assert set(splits) == {"train", "val", "test", "unused"}


def test_every_class_comes_as_often_and_no_example_before_the_others():
    labels = np.repeat([0, 1], [2, 10])
    order = draw_order(labels, 12, 40, np.random.default_rng(0))
    assert (labels[order].reshape(-1, 2) == [0, 1]).all()
    assert sorted(order[1::2]) == sorted([*range(2, 12)] * 2)
    assert sorted(draw_order(None, 5, 10, np.random.default_rng(0))) == sorted([*range(5)] * 2)


def test_planted_quality_is_found_by_tiles_and_by_bags(bench):
    runs = {name: founding_questions.FUSIONS[name] for name in ("tiles", "mean_embedding")}
    found = ask_fusions(bench, {SIZE: 2}, runs)["compared"][str(SIZE)]
    assert list(found) == [
        *(f"tile classifier: {late}" for late in ("vote", "mean score", "mean embedding")),
        "mean_embedding",
    ]
    for member in list(found)[1:]:
        assert found[member]["srcc"]["mean"] > 0.9 and found[member]["auroc"]["mean"] > 0.97
        assert len(found[member]["srcc"]["per_draw"]) == 2
    # Four votes leave five scores.
    assert found["tile classifier: vote"]["srcc"]["mean"] < 0.95


def test_all_kinds_of_labels_answer_on_one_scale(bench, monkeypatch):
    some = ("outer thirds: cross-entropy", "distribution: emd")
    labels = {row: founding_questions.LABELS[row] for row in some}
    monkeypatch.setattr(founding_questions, "LABELS", labels)
    found = ask_labels(bench, {SIZE: 1})["compared"][str(SIZE)]
    for row, figures in found.items():
        assert figures["srcc"]["mean"] > 0.85 and figures["three_classes"]["mean"] > 0.6, row


def test_filters_find_flipped_labels(bench, monkeypatch):
    flipped = flip_labels(bench, bench.draw(SIZE, 0), 0.2, 0)
    grades = bench.rows.grades(bench.rows.table["mos"].to_numpy())
    assert set(grades[flipped]) == {0, 2} and set(flipped) <= set(bench.draw(SIZE, 0))
    monkeypatch.setattr(founding_noise, "FLIPPED", (0.2,))
    monkeypatch.setattr(founding_noise, "LOSSES", {"plain": {}})
    found = ask_noise(bench, SIZE, 1)
    assert found["filters"]["20% flipped"]["confident_learning"]["precision"] > 0.45
    assert found["compared"]["20% flipped"]["plain"]["auroc"]["mean"] > 0.9


def test_parts_are_left_out_and_finished_runs_are_read(bench, monkeypatch):
    monkeypatch.setattr(founding_noise, "EDGES", 0)
    monkeypatch.setattr(founding_noise, "PARTS", {"with all parts": {}})
    found = ask_left_out(bench, SIZE, 1)
    assert found["kept_by"]["edge filter"] == 1 and found["kept_by"]["confidence filter"] > 0.7
    members = found["compared"][f"{SIZE} images"]
    # Without an edge filter that drops nothing, all is as with it.
    for row in ("without the edge filter", "with all parts"):
        assert members[row]["srcc"]["interval"] == [0, 0]
    monkeypatch.setattr(founding_bench, "train_head", None)
    assert json.dumps(ask_left_out(bench, SIZE, 1)) == json.dumps(found)


def test_distances_find_what_is_far(bench):
    found = ask_anomaly(bench, [SIZE])[str(SIZE)]
    for kind in ("mahalanobis", "knn", "coreset"):
        assert found[f"{kind}, mean tile"]["auroc"] > 0.9
    strange = bench.tiles.embeddings.mean(axis=1)[:5] + 40
    found = ask_ood(bench, [SIZE], strange)
    assert found["strange"] == 5 and found["auroc"][str(SIZE)]["Mahalanobis distance"] == 1


def test_a_mirror_image_that_looks_the_same_changes_nothing(bench, monkeypatch):
    embeddings = bench.tiles.embeddings
    monkeypatch.setattr(founding_views, "embed_mirrored", lambda bench, ids: embeddings[ids])
    found = founding_views.ask_mirrored(bench, {SIZE: 1})["compared"][str(SIZE)]
    assert found["mean of both"]["srcc"]["interval"] == [0, 0]
    assert found["as they are"]["srcc"]["mean"] > 0.9


def test_neighbours_of_planted_quality_agree(bench, monkeypatch):
    monkeypatch.setitem(founding_distances.SUPCON, "batch_size", 16)
    found = ask_separability(bench, [SIZE])
    assert found["chance"] < 0.6
    for purity in found["neighbours"].values():
        assert purity["purity"] > 0.85


def test_scores_of_near_copies_are_set_beside_each_other(bench, rows):
    manifest = next(iter(rows.table["path"])).rpartition("/")[0] + "/manifest.csv"
    found = ask_copies(bench, manifest)["2 bits, all"]
    given = pd.read_csv(manifest)["mos"]
    assert found["pairs"] == 1
    assert found["error_of_a_score"] == pytest.approx(abs(given[0] - given[149]) / 2**0.5, abs=1e-4)


def test_a_table_has_a_row_a_member_and_a_column_a_size(rows):
    rng = np.random.default_rng(0)
    mos = {name: rows.split(name)["mos"].to_numpy() for name in ("val", "test")}
    right = Answers(mos["val"], mos["test"])
    guess = Answers(*(rng.random(len(mos[name])) for name in ("val", "test")))
    found = compare(rows, [{"right": right, "guess": guess}], "right")
    assert found["right"]["srcc"]["mean"] == found["right"]["three_classes"]["mean"] == 1
    assert found["guess"]["srcc"]["interval"][1] < -0.3
    lines = format_comparison({"300": found}, "right", "auroc").splitlines()
    assert lines[0].endswith("| 300 |") and lines[2] == "| right | 1.000 |"
    assert lines[3].startswith("| guess | .") and " (-." in lines[3]
