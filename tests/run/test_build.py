"""What a config is built into."""

import jax
import pytest
from ml_collections import ConfigDict

from configs import default
from input_pipeline.tables.table_files import ManifestError
from iqa_jax.analysis.kinds import KINDS
from iqa_jax.learning.state import AnchoredState, AveragedState, TrainState
from iqa_jax.learning.tasks import CLASS_CONTRASTS, TASKS
from iqa_jax.learning.tasks.classification import CLASSIFICATIONS
from iqa_jax.models.encoders import ENCODERS
from iqa_jax.models.encoders.shallow_cnn import ShallowCNN
from iqa_jax.run import build

_ALL = [(kind, name) for kind, losses in TASKS.items() for name in losses]


def test_without_a_decay_the_checkpoint_is_as_it_was(tiny_config):
    plain = build.abstract_state_from_config(tiny_config)
    assert type(plain) is TrainState
    assert set(vars(plain)) == {"step", "params", "batch_stats", "opt_state"}
    tiny_config.optimizer.ema_decay = 0.9
    averaged = build.abstract_state_from_config(tiny_config)
    assert type(averaged) is AveragedState
    tiny_config.optimizer.start_share = 0.5
    anchored = build.abstract_state_from_config(tiny_config)
    assert type(anchored) is AnchoredState
    shapes = jax.tree.map(lambda leaf: leaf.shape, plain.variables)
    for variables in (averaged.variables, anchored.average, anchored.start):
        assert jax.tree.map(lambda leaf: leaf.shape, variables) == shapes


@pytest.mark.parametrize(("kind", "name"), _ALL)
def test_the_network_has_the_outputs_of_every_task(kind, name):
    config = default.get_config()
    config.data.label_kind, config.loss.name = kind, name
    config.data.classes = ("bad", "fair", "good")[: 2 if kind == "binary" else 3]
    config.encoder.mobilenet_v2.width_multiplier, config.tiles.size = 0.1, 32
    state = build.abstract_state_from_config(config)
    head, task = state.params["head"], build.task_from_config(config)
    if name == "coral":
        assert head["output"]["kernel"].shape == (128, 1)
        assert head["bias"].shape == (2,)
    elif name in CLASS_CONTRASTS:
        classes = len(config.data.classes)
        width = config.loss[name].projection_dim
        assert head["output"]["kernel"].shape == (128, width)
        assert head["probe_kernel"].shape == (width, classes)
        assert task.outputs == width + classes
        return
    else:
        assert head["output"]["kernel"].shape == (128, task.outputs)
    width = {"coral": 2, "corn": 2} | dict.fromkeys(CLASSIFICATIONS, len(config.data.classes))
    expected = {"emd": 10} if kind == "numeric" else width
    assert task.outputs == expected.get(name, 3 if KINDS[kind].has_classes else 1)


class Narrow(ShallowCNN):
    """An encoder with a key of its own, all of whose layers train."""

    channels: int


def test_an_encoder_gets_the_keys_of_its_section_and_no_others(tiny_config, monkeypatch):
    monkeypatch.setitem(ENCODERS, "narrow", Narrow)
    tiny_config.model.encoder = "narrow"
    with tiny_config.unlocked():
        tiny_config.encoder.narrow = ConfigDict({"channels": 7})
    assert build.encoder_from_config(tiny_config).channels == 7
    tiny_config.model.encoder, tiny_config.model.trainable_layers = "mobilenet_v2", 3
    assert build.encoder_from_config(tiny_config).trainable_layers == 3


@pytest.mark.parametrize(
    "changes", [{"tta.shifts": 1}, {"tta.scales": (0.5,)}, {"tiles.random_scales": (0.5,)}]
)
def test_tiles_already_cut_are_neither_moved_nor_resized(tmp_path, changes):
    table = tmp_path / "tiles.csv"
    table.write_text("path,image,row,column,label\na.png,a,0,0,good\nb.png,a,0,1,good\n")
    config = default.get_config()
    config.data.manifest = str(table)
    manifest = build.manifest_from_config(config, whole="all")
    build.source_from_config(config, manifest)
    config.update_from_flattened_dict(changes)
    with pytest.raises(ManifestError, match=f"already cut, which .*{next(iter(changes))}"):
        build.source_from_config(config, manifest)


def test_a_run_may_be_a_part_of_an_epoch_and_is_one_step_at_least():
    config = default.get_config()
    for epochs, steps in ((0.4, 1192), (1, 2981), (3.0, 8943), (1e-5, 1)):
        config.epochs = epochs
        assert build.total_steps_from_config(config, 2981) == steps
