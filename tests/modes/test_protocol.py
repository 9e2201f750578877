"""Protocols: no run is done twice, leaks are refused, figures add up."""

import csv
import json
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from iqa_jax.modes.compare_runs import compare_runs
from iqa_jax.modes.protocol import run_protocol
from iqa_jax.run import build
from iqa_jax.run.checks import ConfigError
from iqa_jax.run.config import config_to_json
from iqa_jax.run.seen import seen_by
from iqa_jax.run.variables import initial_variables
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring import trained_run
from iqa_jax.studies import baseline_runs, study
from iqa_jax.studies.baselines import BASELINES
from iqa_jax.studies.baselines.rows import Answers
from iqa_jax.training.training_error import TrainingError


@pytest.fixture
def config(opinion_config):
    return opinion_config


@pytest.mark.usefixtures("one_device")
def test_two_random_splits_end_to_end(config, tmp_path, monkeypatch, capsys):
    folder, trained, real_fit = tmp_path / "protocol", [], study.fit

    def fit(config, data, workdir):
        # Killed in the second split, the first time.
        trained.append(workdir.folder.relative_to(folder).as_posix())
        is_killed = trained == ["split_0/run", "split_1/run"]
        return signal.SIGTERM if is_killed else real_fit(config, data, workdir)

    monkeypatch.setattr(study, "fit", fit)
    assert run_protocol(config, str(folder), "") == 128 + signal.SIGTERM
    assert not (folder / "protocol.json").exists()
    assert run_protocol(config, str(folder), "the command") == 0
    assert trained == ["split_0/run", "split_1/run", "split_1/run"]
    said = capsys.readouterr().out

    # Figures are those of the splits' own evaluations, what is fitted being fitted there.
    record = Workdir(folder).read_json("protocol.json")
    assert record["command"] == "the command" and record["kind"] == "random"
    rows = {(row["fusion"], row["figure"]): row for row in record["figures"]}
    splits = [Workdir(folder / f"split_{k}" / "run") for k in range(2)]
    metrics = [split.read_json("metrics.json")["test"] for split in splits]
    for fusion in ("mean_score", "mean_embedding"):
        for name in ("srcc", "krcc", "plcc", "rmse", "mae", "plcc_mapped", "rmse_mapped",
                     "outlier_ratio"):  # fmt: skip
            row, expected = rows[fusion, name], [m["fusions"][fusion][name] for m in metrics]
            assert row["per_split"] == pytest.approx(expected, abs=1e-6)
            # A map that was refused predicts the mean, which correlates with nothing.
            defined = [figure for figure in row["per_split"] if figure is not None]
            assert row["defined_splits"] == len(defined)
            if len(defined) == 2:
                assert row["median"] == row["mean"] == pytest.approx(np.mean(defined))
                assert row["standard_deviation"] == pytest.approx(np.std(defined, ddof=1))
                assert (row["lowest"], row["highest"]) == (min(defined), max(defined))
    with (folder / "protocol.csv").open(newline="") as file:
        assert [(row["fusion"], row["figure"]) for row in csv.DictReader(file)] == list(rows)
    assert "srcc" in said and "groups are tested: intervals of so few are too narrow" in said

    # The row lists say who was where: groups are whole, and another person can use them.
    lists = [pd.read_csv(folder / f"split_{k}" / "rows.csv") for k in range(2)]
    for rows_of, about in zip(lists, record["splits"], strict=True):
        assert list(rows_of.columns) == ["name", "group", "split"]
        assert rows_of.groupby("group")["split"].nunique().max() == 1
        assert rows_of["split"].value_counts()[["train", "val"]].to_dict() == {
            name: about[name] for name in ("train", "val")
        }
    assert not lists[0]["split"].equals(lists[1]["split"])
    predicted = pd.read_csv(splits[1].folder / "predictions_test.csv")
    assert set(predicted["path"]) == set(lists[1]["name"][lists[1]["split"] == "test"])

    # Its workdirs are workdirs: what an evaluation reads is there.
    assert splits[1].read_text("audit.txt") == (folder / "split_1" / "audit.txt").read_text()
    # Their manifest is found again with the same splits.
    about = splits[1].read_json("manifest.json")
    found = build.manifest_from_config(splits[1].config(), about["path"])
    assert found.digest == about["sha256"]
    assert found.images["split"].tolist() == lists[1]["split"].tolist()

    # Another protocol does not overwrite the lists of this one.
    config.protocol.fractions = (0.4, 0.3, 0.3)
    with pytest.raises(WorkdirError, match="other splits than are drawn now"):
        run_protocol(config, str(folder), "")
    assert pd.read_csv(folder / "split_0" / "rows.csv").equals(lists[0])

    # A leak that came later is refused too, though everything is trained.
    config.protocol.fractions = (0.6, 0.2, 0.2)
    (tested,) = lists[0][lists[0]["split"] == "test"].head(1)["name"]
    (other,) = lists[0][lists[0]["split"] == "train"].head(1)["name"]
    kept = open(other, "rb").read()
    try:
        shutil.copy(tested, other)
        with pytest.raises(TrainingError, match="leaks, and no figure is given") as refused:
            run_protocol(config, str(folder), "")
    finally:
        open(other, "wb").write(kept)
    assert f"the content of {tested} is trained on ({other}" in str(refused.value)
    assert len(trained) == 3


def untrained(config):
    """Draws a network whose scores tell images apart; one for numbers begins with one for all."""
    variables = initial_variables(config)
    output = variables["params"]["head"]["output"]
    output["kernel"] = np.random.default_rng(0).normal(size=output["kernel"].shape)
    return variables


def leave_untrained(monkeypatch, config):
    """Lets a run be finished as it begins: its network answers untrained, from step 0."""

    def fit(config, data, workdir):
        workdir.write_features(data.features)
        return 0

    network = untrained(config), 0
    monkeypatch.setattr(study, "fit", fit)
    monkeypatch.setattr(trained_run, "restore_trained", lambda *_: network)


def test_another_data_set_is_tested_on_whole(config, tmp_path, monkeypatch):
    # The last two scenes are the other data set.
    table = pd.read_csv(config.data.manifest, dtype=str)
    is_other = table["group"].isin(["scene4", "scene5"])
    other = tmp_path / "other.csv"
    table[is_other].assign(split="train").drop(columns="std").to_csv(other, index=False)
    config.protocol.kind, config.protocol.splits = "cross_dataset", 1
    config.protocol.test_manifest = str(other)
    folder = tmp_path / "cross"
    monkeypatch.setattr(study, "fit", lambda *_: pytest.fail("a leak was trained on"))
    leak = "the file of .*scene4_0.png is trained on"
    with pytest.raises(TrainingError, match=leak):
        run_protocol(config, str(folder), "")
    # Training has a test of its own; here the untrained network will do.
    leave_untrained(monkeypatch, config)

    table[~is_other].to_csv(config.data.manifest, index=False)
    assert run_protocol(config, str(folder), "") == 0
    record = Workdir(folder).read_json("protocol.json")
    assert record["splits"][0]["test"] == 14 and record["test_groups"] == 2
    assert pd.read_csv(folder / "split_0" / "rows.csv")["split"].value_counts().sum() == 28
    assert set(pd.read_csv(folder / "test_rows.csv")["name"]) == set(table["path"][is_other])
    figures = {row["figure"]: row for row in record["figures"] if row["fusion"] == "mean_score"}
    # A map fitted on the one data set, applied to the other, which has no standard deviations.
    assert np.isfinite(figures["rmse_mapped"]["mean"]) and "outlier_ratio" not in figures
    run = Workdir(folder / "split_0" / "run")
    assert figures["srcc"]["mean"] == pytest.approx(run.read_json("metrics.json")["test"]["srcc"])


def test_baselines_are_rows_of_the_same_table(config, tmp_path, monkeypatch):
    # What a trained network would answer is of no account here.
    leave_untrained(monkeypatch, config)

    def fit_constant(config, train, folder):
        return lambda rows: Answers(np.full(len(rows.image_ids), 50.0), [""] * len(rows.image_ids))

    def fit_oracle(config, train, folder):
        return lambda rows: Answers(rows.labels, [""] * len(rows.image_ids))

    monkeypatch.setitem(BASELINES, "constant", fit_constant)
    monkeypatch.setitem(BASELINES, "oracle", fit_oracle)
    config.protocol.baselines = ("brisque_svr", "constant", "oracle")
    # Three groups are tested in each split: few draws have none of them.
    config.protocol.kind = "k_fold"
    folder = tmp_path / "protocol"
    assert run_protocol(config, str(folder), "") == 0
    figures = Workdir(folder).read_json("protocol.json")["figures"]
    rows = {(row["fusion"], row["figure"]): row for row in figures}
    homes = [folder / f"split_{number}" for number in range(2)]
    tables = [pd.read_csv(home / "brisque_svr" / "predictions_test.csv") for home in homes]
    for home, table in zip(homes, tables, strict=True):
        listed = pd.read_csv(home / "rows.csv")
        assert set(table["path"]) == set(listed["name"][listed["split"] == "test"])
    for name, sign, expected in (
        ("srcc", 1, [stats.spearmanr(t["score"], t["label"]).statistic for t in tables]),
        ("rmse", -1, [np.sqrt(((t["score"] - t["label"]) ** 2).mean()) for t in tables]),
    ):
        row, recipe = rows["brisque_svr", name], rows["mean_score", name]
        assert row["per_split"] == pytest.approx(expected, abs=1e-6)
        assert row["median"] == pytest.approx(np.median(expected))
        difference = sign * (np.array(expected) - recipe["per_split"])
        assert row["difference"] == pytest.approx(difference.mean(), abs=1e-6)
        # Lower is better for errors, and a difference above 0 is in favour of the baseline.
        assert row["difference_low"] <= row["difference_high"]
    for name, figure, verdict in (
        ("oracle", "rmse", "better than the recipe"),
        ("oracle", "plcc", "better than the recipe"),
        ("constant", "srcc", "no interval"),
    ):
        assert rows[name, figure]["verdict"] == verdict
    assert rows["oracle", "srcc"]["per_split"] == pytest.approx([1, 1])
    assert "difference" not in rows["mean_score", "srcc"]
    # A constant ranks nothing, and that is no 0.
    constant = rows["constant", "srcc"]
    assert constant["per_split"] == [None, None] and constant["median"] is None
    assert constant["difference"] is None
    with (folder / "protocol.csv").open(newline="") as file:
        written = {(row["fusion"], row["figure"]): row for row in csv.DictReader(file)}
    assert written["brisque_svr", "plcc_mapped"]["verdict"] and set(written) == set(rows)
    # Its folder pairs with that of the run, and keeps what the baseline was fitted on.
    run, baseline = (Workdir(homes[0] / name) for name in ("run", "brisque_svr"))
    listed = pd.read_csv(homes[0] / "rows.csv")
    fitted_on = listed["name"][listed["split"] != "test"]
    assert set(seen_by(baseline).learnt["name"]) == set(fitted_on)
    assert compare_runs(run, baseline) == 0
    compared = run.read_json("compared_with_brisque_svr.json")["splits"]["test"]
    assert list(compared["seen_in_training"].values()) == [0, 0]
    paired = compared["figures"]["plcc"]
    assert paired["b"] == pytest.approx(rows["brisque_svr", "plcc"]["per_split"][0])

    # What is finished is not done again.
    monkeypatch.setattr(baseline_runs, "BASELINES", {})
    assert run_protocol(config, str(folder), "") == 0
    assert Workdir(folder).read_json("protocol.json")["figures"] == figures


def test_baselines_of_labels_that_are_no_scores_are_refused(tiny_config, tmp_path):
    tiny_config.protocol.baselines = ("ridge",)
    with pytest.raises(ConfigError, match="predict opinion scores; leave it empty for .*binary"):
        run_protocol(tiny_config, str(tmp_path / "protocol"), "")


def test_a_wrong_protocol_is_refused_with_every_reason(config, tmp_path):
    config.protocol.kind, config.protocol.splits = "kfold", 0
    config.protocol.fractions = (0.8, 0.0, 0.2)
    config.protocol.test_manifest, config.data.split_rows = "other.csv", "rows.csv"
    config.protocol.baselines = ("ridge", "brisk")
    with pytest.raises(ConfigError) as refused:
        run_protocol(config, str(tmp_path / "protocol"), "")
    problems = "\n".join(refused.value.problems)
    for part in (
        'protocol.kind is "kfold"',
        "protocol.splits is 0",
        "nothing for val",
        "protocol.test_manifest goes with",
        "data.split_rows gives one split",
        'protocol.baselines has "brisk"; the choices are ridge',
    ):
        assert part in problems
    assert not (tmp_path / "protocol").exists()


def test_too_few_groups_are_refused_in_a_sentence(config, tmp_path):
    config.protocol.kind, config.protocol.splits = "k_fold", 7
    with pytest.raises(TrainingError, match="6 groups cannot fill the 7 splits"):
        run_protocol(config, str(tmp_path / "protocol"), "")


def test_an_encoder_that_has_seen_what_is_tested_is_refused(config, tmp_path, monkeypatch):
    run = Workdir(tmp_path / "encoder")
    run.folder.mkdir()
    run.write_text("config.json", config_to_json(config))
    manifest = tmp_path / "encoder.csv"
    run.write_text("manifest.json", json.dumps({"path": str(manifest)}))
    config.model.weights = str(run.folder)
    table = pd.read_csv(config.data.manifest, dtype=str)

    def fit(*_):
        raise InterruptedError

    monkeypatch.setattr(study, "fit", fit)
    monkeypatch.setattr(study, "prepare_training", lambda *_: None)
    table.assign(split="val").to_csv(manifest, index=False)
    with pytest.raises(TrainingError, match="take no encoder"):
        run_protocol(config, str(tmp_path / "leaking"), "")
    table.assign(split="holdout").to_csv(manifest, index=False)
    with pytest.raises(InterruptedError):
        run_protocol(config, str(tmp_path / "clean"), "")
    # A run between that has seen nothing hides nothing.
    between = Workdir(tmp_path / "between")
    between.folder.mkdir()
    between.write_text("config.json", config_to_json(config))
    between.write_text("manifest.json", run.read_text("manifest.json"))
    seen = tmp_path / "seen.csv"
    table.assign(split="train").to_csv(seen, index=False)
    run.write_text("manifest.json", json.dumps({"path": str(seen)}))
    config.model.weights = str(between.folder)
    with pytest.raises(TrainingError, match="take no encoder"):
        run_protocol(config, str(tmp_path / "chain"), "")
    manifest.unlink()
    with pytest.raises(TrainingError, match="is gone: whether it has seen"):
        run_protocol(config, str(tmp_path / "unknown"), "")
