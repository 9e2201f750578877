"""Data is audited before anything trains: the exit status says whether training would refuse it."""

import shutil

import pandas as pd
import pytest

from iqa_jax.modes.check import check
from iqa_jax.run.checks import ConfigError


def test_data_that_can_be_trained_on(tiny_config, capsys):
    assert check(tiny_config) == 0
    said = capsys.readouterr().out
    assert "42 images" in said and "errors" not in said


def test_an_image_that_cannot_be_read_is_told(tiny_config, tiny_manifest, tmp_path, capsys):
    table = pd.read_csv(tiny_manifest)
    for name in table["path"]:
        shutil.copy(tiny_manifest.parent / name, tmp_path)
    (tmp_path / table["path"][5]).write_text("no image")
    table.to_csv(tmp_path / "manifest.csv", index=False)
    tiny_config.data.manifest = str(tmp_path / "manifest.csv")
    assert check(tiny_config) == 1
    assert table["path"][5] in capsys.readouterr().out


def test_a_group_in_two_splits_is_an_error(tiny_config, tiny_manifest, tmp_path, capsys):
    table = pd.read_csv(tiny_manifest)
    table["path"] = [str(tiny_manifest.parent / name) for name in table["path"]]
    table.loc[0, "group"] = table["group"].iloc[-1]
    table.to_csv(tmp_path / "manifest.csv", index=False)
    tiny_config.data.manifest = str(tmp_path / "manifest.csv")
    assert check(tiny_config) == 1
    assert "is in more than one split" in capsys.readouterr().out


def test_a_wrong_config_is_refused_before_data_is_read(tiny_config):
    tiny_config.data.manifest, tiny_config.batch_size = "none.csv", 0
    with pytest.raises(ConfigError, match="batch_size is 0"):
        check(tiny_config)
