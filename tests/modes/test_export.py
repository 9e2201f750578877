"""What cannot be given away in one file is refused."""

import json
import shutil

import pytest

from iqa_jax.modes.export import export
from iqa_jax.run.workdir import Workdir, WorkdirError


def test_an_ensemble_is_refused(tiny_run, tmp_path):
    run = Workdir(shutil.copytree(tiny_run, tmp_path / "run"))
    config = json.loads(run.read_text("config.json"))
    config["model"]["ensemble"] = ["runs/other"]
    run.write_text("config.json", json.dumps(config))
    with pytest.raises(WorkdirError, match="together with other runs"):
        export(run, str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("output", ["scorer.npz", "nowhere/scorer.safetensors", "nowhere/x.onnx"])
def test_an_output_that_cannot_be_is_refused(tiny_run, output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkdirError, match="--output="):
        export(Workdir(tiny_run), output)
