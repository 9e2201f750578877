"""What main.py makes of its flags before any mode begins."""

import sys
from pathlib import Path

import pytest
from absl import flags

from iqa_jax import command_line, load_explainer, load_scorer
from iqa_jax.run.workdir import WorkdirError

RECIPE = """
from configs import default

def get_config():
    config = default.get_config()
    config.data.split_rows = "~/rows.csv"
    config.model.ensemble = ("~/runs/a", "runs/b")
    return config
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path
    flags.FLAGS.unparse_flags()


def test_the_home_folder_is_meant_in_every_flag_and_key(home, monkeypatch):
    (home / "recipe.py").write_text(RECIPE)
    paths = ("data.manifest", "data.dropped_tiles", "model.weights", "protocol.test_manifest")
    argv = [
        "main.py", "--config=~/recipe.py", "--output", "~/scores.csv", "--split=a~b", "word~",
        *(f"--{name}=~/x" for name in ("workdir", "other", "images", "manifest")),
        *(f"--config.{key}=~/x" for key in paths),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", argv)  # Where the flag of a config looks for its keys.
    rest = command_line.parse(argv)
    given = flags.FLAGS
    assert rest == ["main.py", "word~"] and given.split == "a~b"
    assert given.output == f"{home}/scores.csv"
    for name in ("workdir", "other", "images", "manifest"):
        assert given[name].value == f"{home}/x"
    config = given.config
    for key in paths:
        section, name = key.split(".")
        assert config[section][name] == f"{home}/x"
    assert config.data.split_rows == f"{home}/rows.csv"
    assert config.model.ensemble == (f"{home}/runs/a", "runs/b")
    # What is kept in a workdir may be read from another home.
    assert config.bags.cache_folder.startswith("~/")


@pytest.mark.parametrize("load", [load_scorer, load_explainer])
def test_the_home_folder_is_meant_in_python(home, load):
    with pytest.raises(WorkdirError, match=f"{home}/run holds no run"):
        load("~/run")
    with pytest.raises(WorkdirError, match=f"{home}/run holds no run"):
        load(Path("~/run"))
