"""The loop: what is killed goes on as if it had not been, what goes wrong stops with a sentence."""

import json
import signal

import jax
import numpy as np
import pandas as pd
import pytest

from iqa_jax.host.lock import LOCK, InUseError
from iqa_jax.learning.sharding import PlacementError
from iqa_jax.modes.train import TrainingError, train
from iqa_jax.run.checks import ConfigError
from iqa_jax.run.workdir import Workdir, WorkdirError
from runs_elsewhere import last_checkpoint, wait_for_step
from tiny import TINY


def test_killed_twice_is_never_stopped(
    tiny_manifest, tiny_config, tiny_run, tmp_path, start_main, capsys
):
    folder = tmp_path / "run"
    arguments = (
        "--config=configs/default.py",
        f"--workdir={folder}",
        f"--config.data.manifest={tiny_manifest}",
        "--config.log_every_steps=1",
        "--config.checkpoint_every_steps=3",
        *(f"--config.{key}={value}" for key, value in TINY.items()),
    )
    process = start_main(*arguments)
    wait_for_step(process, folder, 1)
    with pytest.raises(InUseError, match=rf"run is in use: process {process.pid} on host "):
        train(tiny_config, str(folder), "")
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert not (folder / LOCK).exists()
    saved = Workdir(folder).last.steps[-1]
    assert 1 <= saved < 12
    assert f"stopped by signal 15 after step {saved}; everything is saved" in output

    process = start_main(*arguments)
    wait_for_step(process, folder, saved + 4)
    process.kill()
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert f"going on after step {saved}" in output
    assert saved < Workdir(folder).last.steps[-1] < 12

    tiny_config.checkpoint_every_steps = 3
    assert (folder / LOCK).exists()
    assert train(tiny_config, str(folder), "") == 0
    assert not (folder / LOCK).exists()
    assert f"which process {process.pid} on host" in capsys.readouterr().out
    assert list((folder / "tensorboard").glob("events.*"))
    for ours, theirs in zip(
        jax.tree.leaves(last_checkpoint(folder)), jax.tree.leaves(last_checkpoint(tiny_run)),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(ours, theirs)
    for name in ("metrics.json", "predictions_test.csv", "features.json"):
        assert (folder / name).read_text() == (tiny_run / name).read_text(), name


@pytest.mark.usefixtures("one_device")
def test_a_loss_that_explodes_stops_and_keeps_the_last_good_state(
    tiny_config, tiny_manifest, tmp_path
):
    tiny_config.optimizer.learning_rate = 1e30
    tiny_config.optimizer.warmup_epochs = 0.0
    tiny_config.checkpoint_every_steps = 1
    tiny_config.evaluate_every_epochs = 10.0
    with pytest.raises(TrainingError) as raised:
        train(tiny_config, str(tmp_path / "run"), "")
    message = str(raised.value)
    saved = Workdir(tmp_path / "run").last.steps[-1]
    assert f"step {saved + 1}: the loss is" in message
    assert f"The last good checkpoint is step {saved}" in message
    names = message.split("Its images: ")[1].split(". The last")[0].split(", ")
    assert 1 <= len(names) <= 8
    assert set(names) <= set(pd.read_csv(tiny_manifest)["path"])
    state, _ = last_checkpoint(tmp_path / "run")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


@pytest.mark.usefixtures("one_device")
def test_early_stopping_stops_and_stays_stopped(tiny_config, tmp_path, capsys):
    # Nothing changes, so nothing becomes better.
    tiny_config.model.norm_statistics = "running"
    tiny_config.optimizer.learning_rate = 0.0
    tiny_config.evaluate_every_epochs = 0.25
    tiny_config.early_stopping.patience = 1
    folder = tmp_path / "run"
    for _ in range(2):
        assert train(tiny_config, str(folder), "") == 0
        assert "stopped early: val auroc" in capsys.readouterr().out
        workdir = Workdir(folder)
        assert workdir.last.steps[-1] == 6 and workdir.best.steps == [3]
        assert [entry["step"] for entry in workdir.history()] == [3, 6]


@pytest.mark.usefixtures("one_device")
def test_all_images_can_be_trained_on_for_all_epochs(tiny_config, tiny_manifest, tmp_path, capsys):
    table = pd.read_csv(tiny_manifest).drop(columns="split")
    table["path"] = [str(tiny_manifest.parent / path) for path in table["path"]]
    manifest = tmp_path / "manifest.csv"
    table.to_csv(manifest, index=False)
    tiny_config.data.manifest, tiny_config.data.fractions = str(manifest), (1.0, 0.0, 0.0)
    with pytest.raises(ConfigError, match='set early_stopping.metric to ""'):
        train(tiny_config, str(tmp_path / "run"), "")
    tiny_config.early_stopping.metric = ""
    tiny_config.early_stopping.patience = 1
    assert train(tiny_config, str(tmp_path / "run"), "") == 0
    workdir = Workdir(tmp_path / "run")
    assert workdir.best.steps == [] and "there is no split but train" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics) == {"train"} and metrics["train"]["rows"] == len(table)
    # Image tiles of the four labelled sixths of 42 images, four each, in batches of eight.
    assert metrics["train"]["step"] == workdir.last.steps[-1] == 36 * 4 // 8


def test_a_workdir_of_another_run_is_refused(tiny_config, tiny_run, tmp_path):
    before = (tiny_run / "config.json").read_text()
    tiny_config.optimizer.weight_decay = 0.5
    with pytest.raises(WorkdirError, match=r"optimizer.weight_decay: 0.001 -> 0.5\n.*another"):
        train(tiny_config, str(tiny_run), "")
    assert (tiny_run / "config.json").read_text() == before
    (tmp_path / "holiday.jpg").write_text("not a run")
    with pytest.raises(WorkdirError, match="is not empty and is no run"):
        train(tiny_config, str(tmp_path), "")


def test_a_workdir_of_another_manifest_is_refused(tiny_config, tiny_manifest, tiny_run):
    rows = tiny_manifest.read_text().replace("scene0_0.png,good", "scene0_0.png,bad")
    changed = tiny_manifest.with_name("changed.csv")
    changed.write_text(rows)
    tiny_config.data.manifest = str(changed)
    with pytest.raises(WorkdirError, match="rows of the manifest .*changed.csv have changed"):
        train(tiny_config, str(tiny_run), "")


def test_a_start_that_the_data_ended_binds_nobody(tiny_config, tiny_manifest, tmp_path):
    lines = tiny_manifest.read_text().splitlines()
    without = tiny_manifest.with_name("without.csv")
    without.write_text("\n".join(line for line in lines if ",good,scene4" not in line))
    tiny_config.data.manifest = str(without)
    with pytest.raises(TrainingError, match="split 'val' has no image of class 'good'"):
        train(tiny_config, str(tmp_path / "run"), "")
    # The corrected manifest is another one, and so is the edge band.
    tiny_config.data.manifest = str(tiny_manifest)
    tiny_config.tiles.edge_sum_min = 1000
    with pytest.raises(TrainingError, match="no training tile is left.*edge_sum_min"):
        train(tiny_config, str(tmp_path / "run"), "")


def test_a_split_whose_images_are_all_damaged_is_refused(tiny_config, tiny_manifest, tmp_path):
    table = pd.read_csv(tiny_manifest)
    is_val = table["split"] == "val"
    for name in table["path"]:
        (tmp_path / name).write_bytes((tiny_manifest.parent / name).read_bytes())
    for number, name in enumerate(table["path"][is_val]):
        (tmp_path / name).write_text(f"no image {number}")
    table.to_csv(tmp_path / "manifest.csv", index=False)
    tiny_config.data.manifest = str(tmp_path / "manifest.csv")
    with pytest.raises(TrainingError, match="split 'val' has no images"):
        train(tiny_config, str(tmp_path / "run"), "")


def test_a_batch_that_does_not_divide_is_refused(tiny_config, tmp_path):
    tiny_config.batch_size = 12
    with pytest.raises(PlacementError, match="nearest sizes that do: 8 or 16"):
        train(tiny_config, str(tmp_path / "run"), "")
    assert not (tmp_path / "run").exists()


def test_a_config_names_all_its_problems_at_once(tiny_config, tmp_path):
    tiny_config.early_stopping.metric = "aurocc"
    tiny_config.model.dropout = 1.5
    tiny_config.data.fractions = (0.5, 0.5)
    with pytest.raises(ConfigError) as raised:
        train(tiny_config, str(tmp_path / "run"), "")
    assert len(raised.value.problems) == 3
    assert 'did you mean "auroc"' in str(raised.value)


def test_a_torn_line_of_the_history_is_dropped(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.add_history({"step": 1})
    workdir.add_history({"step": 2})
    path = tmp_path / "history.jsonl"
    path.write_text(path.read_text()[:-3])
    assert workdir.history() == [{"step": 1}]
    workdir.cut_history(5)
    workdir.add_history({"step": 2})
    assert [entry["step"] for entry in workdir.history()] == [1, 2]
