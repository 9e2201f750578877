"""TensorBoard reads the curves of a run, which were written without TensorFlow."""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from iqa_jax.run.workdir import Workdir
from iqa_jax.training.curves import Curves


def test_tensorboard_reads_what_history_has(tmp_path):
    curves = Curves(Workdir(tmp_path))
    curves.write(3, {"train/loss": 0.25, "val/srcc": 0.5})
    curves.write(6, {"train/loss": 0.125})
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [*map(json.loads, lines)] == [
        {"step": 3, "train/loss": 0.25, "val/srcc": 0.5},
        {"step": 6, "train/loss": 0.125},
    ]
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    read = {
        tag: [(event.step, event.tensor_proto.float_val[0]) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }
    assert read == {"train/loss": [(3, 0.25), (6, 0.125)], "val/srcc": [(3, 0.5)]}
    assert "tensorflow" not in sys.modules
