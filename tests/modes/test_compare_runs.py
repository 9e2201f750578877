"""Two runs on the rows they share: differences, intervals, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

from configs import default
from iqa_jax.modes.compare_runs import compare_runs
from iqa_jax.run.config import config_to_json
from iqa_jax.run.workdir import Workdir, WorkdirError

ROWS, GROUPS = 120, 40


@pytest.fixture
def write(tmp_path):
    """Writes a run as far as a comparison looks: its config, manifest and predictions."""
    rng = np.random.default_rng(0)
    labels, split = rng.uniform(0, 100, ROWS), ["test"] * (ROWS - 1) + ["train"]
    manifest = pd.DataFrame(
        {
            "path": [f"{row}.png" for row in range(ROWS)],
            "label": labels,
            "group": [f"g{row % GROUPS}" for row in range(ROWS)],
            "split": split,
        }
    )
    manifest.to_csv(tmp_path / "manifest.csv", index=False)

    def write(name: str, noise: float, *, seed: int = 1, change=lambda table: table, **data):
        workdir = Workdir(tmp_path / name)
        workdir.folder.mkdir()
        config = default.get_config()
        config.data.label_kind, config.data.manifest = "numeric", str(tmp_path / "manifest.csv")
        config.data.update(data)
        workdir.write_text("config.json", config_to_json(config))
        workdir.write_text("manifest.json", json.dumps({"path": config.data.manifest}))
        error = noise * np.random.default_rng(seed).normal(size=ROWS)
        table = manifest.drop(columns="split").assign(score=labels + error, error="")
        for split in ("train", "test"):
            change(table).to_csv(workdir.folder / f"predictions_{split}.csv", index=False)
        return workdir

    return write


def read(workdir: Workdir, other: Workdir) -> dict:
    name = f"compared_with_{other.folder.name}.json"
    return workdir.read_json(name)["splits"]


def test_a_better_run_is_told_and_the_other_way_round(write, capsys):
    good, poor = write("good", 10), write("poor", 40, seed=2)
    assert compare_runs(good, poor, "the command") == 0
    (split,) = read(good, poor).items()
    assert split[0] == "test" and split[1]["rows"] == ROWS and split[1]["groups"] == GROUPS
    figures = split[1]["figures"]
    for name, sign in (("srcc", 1), ("krcc", 1), ("plcc", 1), ("rmse", -1), ("mae", -1)):
        row = figures[name]
        assert row["difference"] == pytest.approx(sign * (row["a"] - row["b"]))
        low, high = row["interval"]
        assert 0 < low < row["difference"] < high and row["verdict"] == "A is better"
    said = capsys.readouterr().out
    # The one that the manifest trains on, and two of its group.
    assert "3 of these images trained" in said and said.count("WARNING") == 2
    assert split[1]["seen_in_training"] == {str(good.folder): 3, str(poor.folder): 3}
    compare_runs(poor, good)
    back = read(poor, good)["test"]["figures"]["srcc"]
    assert back["verdict"] == "B is better"
    assert back["difference"] == -figures["srcc"]["difference"]
    assert back["interval"] == pytest.approx([-end for end in figures["srcc"]["interval"][::-1]])


def test_runs_that_are_alike_are_not_told_apart(write, capsys):
    one, other = write("one", 20), write("other", 20.5, seed=5)
    compare_runs(one, other)
    for row in read(one, other)["test"]["figures"].values():
        assert row["interval"][0] < 0 < row["interval"][1]
        assert row["verdict"].startswith("0 is inside the interval")
    assert capsys.readouterr().out.count("do not tell the runs apart") == 5
    twin = write("twin", 20)
    compare_runs(one, twin)
    for row in read(one, twin)["test"]["figures"].values():
        assert row["difference"] == 0 and row["interval"] == [0, 0]


def test_only_rows_that_both_answer_count(write):
    def lose_some(table):
        table = table.assign(score=table["score"].astype(object)).sample(frac=1, random_state=0)
        table.loc[table["path"].isin(["3.png", "4.png"]), "score"] = ""
        return table[~table["path"].isin(["5.png"])]

    one, other = write("one", 20), write("other", 20, change=lose_some)
    compare_runs(one, other)
    found = read(one, other)["test"]
    # Matched by name, not by place: the same answers differ by nothing.
    assert found["rows"] == ROWS - 3
    assert all(row["difference"] == pytest.approx(0) for row in found["figures"].values())


def test_lower_is_better_scores_are_mirrored(write):
    one, other = write("one", 10), write("other", 40, seed=2)
    compare_runs(one, other)
    plain = read(one, other)["test"]["figures"]
    one, other = (
        write(f"{name}_dmos", noise, seed=seed, higher_is_better=False)
        for name, noise, seed in (("one", 10, 1), ("other", 40, 2))
    )
    compare_runs(one, other)
    mirrored = read(one, other)["test"]["figures"]
    for name, row in plain.items():
        assert mirrored[name]["difference"] == pytest.approx(row["difference"])
        assert mirrored[name]["verdict"] == row["verdict"]


def test_classes_are_compared_by_their_probabilities(write):
    def classes(shift):
        def change(table):
            good = 1 / (1 + np.exp(-(table["score"] - 50 + shift) / 10))
            label = np.where(table["label"] > 60, "good", "bad")
            label[:10] = "marginal"
            return table.assign(label=label, score=good, p_bad=1 - good, p_good=good)

        return change

    one = write("one", 10, change=classes(0), label_kind="binary", manifest="gone.csv")
    other = write("other", 60, seed=2, change=classes(0), label_kind="binary", manifest="gone.csv")
    compare_runs(one, other)
    figures = read(one, other)["test"]["figures"]
    assert figures["auroc"]["verdict"] == figures["log_loss"]["verdict"] == "A is better"
    assert 0.9 < figures["auroc"]["a"] <= 1


def test_what_cannot_be_told_is_no_zero(write, tmp_path, capsys):
    one, other = write("one", 10), write("other", 20)
    about = json.dumps({"path": str(tmp_path / "gone.csv")})
    other.write_text("manifest.json", about)
    compare_runs(one, other)
    seen = read(one, other)["test"]["seen_in_training"]
    assert seen == {str(one.folder): 3, str(other.folder): None}
    said = capsys.readouterr().out
    assert "gone.csv" in said and f"whether these images trained {other.folder} cannot" in said
    one.write_text("manifest.json", about)
    compare_runs(one, other)
    assert set(read(one, other)["test"]["seen_in_training"].values()) == {None}


def test_other_labels_groups_or_kinds_are_refused(write):
    one = write("one", 10)
    label = write("label", 10, change=lambda table: table.assign(label=table["label"] + 1))
    with pytest.raises(WorkdirError, match=f"label of 0.png .*{ROWS} such rows.*not the same data"):
        compare_runs(one, label)
    with pytest.raises(WorkdirError, match="the group of 0.png"):
        compare_runs(one, write("group", 10, change=lambda table: table.assign(group="g")))
    with pytest.raises(WorkdirError, match="data.maximum is 100.0 in .* and 5.0 in"):
        compare_runs(one, write("scale", 10, maximum=5.0))
    apart = write("apart", 10, change=lambda table: table.assign(path="x" + table["path"]))
    with pytest.raises(WorkdirError, match="answer no image in common"):
        compare_runs(one, apart)
    bare = write("bare", 10)
    (bare.folder / "predictions_test.csv").unlink()
    with pytest.raises(WorkdirError, match="run --mode=evaluate on both"):
        compare_runs(one, bare)
