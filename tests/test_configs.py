"""Every recipe takes two steps, and every key of the default is read by some code."""

import ast
import csv
import dataclasses
import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ml_collections import ConfigDict

import iqa_jax
from configs import default
from iqa_jax.learning.augment import augment
from iqa_jax.learning.tasks import TASKS
from iqa_jax.models.encoders import ENCODERS
from iqa_jax.models.encoders.encoder import Encoder
from iqa_jax.models.fusions import FUSIONS
from iqa_jax.models.heads import CoralHead, ProjectionHead, TwoLayerHead
from iqa_jax.models.quality_model import QualityModel
from iqa_jax.modes import train as train_module
from iqa_jax.run.checks import ConfigError, check_config
from iqa_jax.run.config import config_from_json, config_to_json, differing_keys
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.trained_run import TrainedRun
from recipes import RECIPES, load_recipe
from tiny import ROOT


def relabel(config: ConfigDict, manifest: Path, folder: Path) -> Path:
    """Writes the tiny manifest with labels of the recipe's kind."""
    data = config.data
    if data.label_kind == "numeric":
        span = data.maximum - data.minimum
        names = [str(data.minimum + span * share) for share in (0.8, 0.1, 0.9, 0.2, 0.7, 0.3, 0.5)]
    else:
        names = [data.classes[number % len(data.classes)] for number in range(7)]
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    extra = [name for name in (data.label_std_column, *data.count_columns) if name]
    for number, row in enumerate(rows):
        row["path"] = str(manifest.parent / row["path"])
        row[data.label_column] = names[number % 7]
        row |= dict.fromkeys(extra, "1")
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def narrow_recipe(name: str, manifest: Path, folder: Path) -> ConfigDict:
    """Gives a recipe for the tiny manifest, with a network that compiles in seconds."""
    config = load_recipe(name)
    config.data.manifest = str(relabel(config, manifest, folder))
    config.tiles.size = config.tiles.stride = 32
    config.tiles.edge_sum_min = 0
    if not config.bags.cached:
        # Only random weights have every width.
        config.encoder.mobilenet_v2.width_multiplier, config.model.trainable_layers = 0.1, -1
        config.model.weights, config.model.weights_of = "none", "encoder"
        config.model.ensemble = ()
    config.bags.cache_folder = str(folder / "embeddings")
    # Whole groups of six levels, or the eight that divide by anything else.
    config.batch_size = 12 if config.data.label_kind == "ranking" else 8
    config.epochs = 1
    return config


@pytest.mark.usefixtures("one_device")
@pytest.mark.parametrize("name", [name for name in RECIPES if name != "default"])
def test_a_recipe_takes_two_steps(name, tiny_manifest, tmp_path, monkeypatch):
    config = narrow_recipe(name, tiny_manifest, tmp_path)
    # What follows training has tests of its own.
    monkeypatch.setattr(train_module, "evaluate_run", lambda *_, **__: None)
    assert train_module.train(config, str(tmp_path / "run"), "") == 0
    workdir = Workdir(tmp_path / "run")
    assert workdir.last.steps[-1] >= 2
    assert workdir.best.steps == (workdir.last.steps[-1:] if config.early_stopping.metric else [])


@pytest.mark.usefixtures("one_device")
def test_the_default_trains_evaluates_scores_and_explains(tiny_manifest, tmp_path):
    # The tiny runs of other tests have another encoder.
    config, folder = narrow_recipe("default", tiny_manifest, tmp_path), tmp_path / "run"
    assert config.model.encoder == "mobilenet_v2"
    assert train_module.train(config, str(folder), "") == 0
    assert Workdir(folder).last.steps[-1] >= 2
    row = pd.read_csv(folder / "predictions_test.csv").iloc[0]
    path = tiny_manifest.parent / row["path"]
    (scored,) = iqa_jax.load_scorer(folder).score([path])["score"]
    assert scored == pytest.approx(row["score"], abs=1e-5)
    explainer = iqa_jax.load_explainer(folder)
    bad, good = (explainer.explain(path, of=name) for name in ("bad", "good"))
    assert bad.score == good.score == pytest.approx(row["score"], abs=1e-5)
    # The tiles do not overlap and the headline is their mean, calibrated.
    mean = bad.maps.tile_scores.mean()
    calibrate = TrainedRun.open(Workdir(folder)).calibration["mean_score"]
    (answer,) = calibrate(np.array([[1 - mean, mean]]))
    assert answer[1] == pytest.approx(row["score"], abs=1e-5)
    # A tile of 32 pixels has one cell, so each pixel has one sign.
    assert not (bad.maps.grad_cam * good.maps.grad_cam).any()
    assert (bad.maps.grad_cam + good.maps.grad_cam).max() > 0


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_keeps_to_the_keys_of_the_default(name):
    recipe = load_recipe(name)
    for line in differing_keys(default.get_config(), recipe):
        key, change = line.split(": ", 1)
        assert "None" not in change, f"{key} is not a key of configs/default.py"


def flatten(config: ConfigDict, prefix: tuple[str, ...] = ()):
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            yield from flatten(value, (*prefix, key))
        else:
            yield *prefix, key


def test_every_key_is_read():
    # (the object's last name, the attribute): `config.host.threads` and `host.threads` alike.
    read = set()
    for path in (ROOT / "iqa_jax").rglob("*.py"):
        # These check values; that is not a use.
        if path.stem in ("checks", "rules"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                owner = node.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                read.add((name.removeprefix("_"), node.attr))
    # Sections that go whole to what takes their keys as arguments; it takes no others.
    read |= {("augment", name) for name in inspect.signature(augment).parameters}
    components = dict(components_of(default.get_config()))
    for *section, key in flatten(default.get_config()):
        owner = section[-1] if section else "config"
        known = components.get(".".join(section))
        is_read = (owner, key) in read if known is None else key in known
        assert is_read, f"{'.'.join([*section, key])} is read nowhere"


def components_of(config: ConfigDict):
    """Gives the section of every component, and the arguments that it takes of it."""
    for name in {*FUSIONS} & {*config.fusion}:
        fields = {field.name for field in dataclasses.fields(FUSIONS[name])}
        yield f"fusion.{name}", fields - {"dtype", "parent", "name"}
    for name in {*ENCODERS} & {*config.encoder}:
        fields = {field.name for field in dataclasses.fields(ENCODERS[name])}
        shared = {field.name for field in dataclasses.fields(Encoder)}
        yield f"encoder.{name}", fields - shared - {"trainable_layers"}
    for losses in TASKS.values():
        for loss in losses.values():
            if loss.section:
                parameters = inspect.signature(loss.make).parameters.values()
                keys = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
                yield f"loss.{loss.section}", keys


def test_every_component_has_its_own_keys_and_no_others():
    config, sections = default.get_config(), set()
    for section, arguments in components_of(config):
        owner, name = section.split(".")
        assert {*config[owner][name]} == arguments, section
        sections.add(section)
    nested = {
        f"{owner}.{name}"
        for owner, section in config.items()
        if isinstance(section, ConfigDict)
        for name, value in section.items()
        if isinstance(value, ConfigDict)
    }
    assert sections == nested


@pytest.mark.parametrize(
    "module",
    [*FUSIONS.values(), *ENCODERS.values(), TwoLayerHead, CoralHead, ProjectionHead, QualityModel],
)
def test_no_component_has_defaults_of_its_own(module):
    for field in dataclasses.fields(module):
        if field.name not in ("parent", "name"):
            assert field.default is dataclasses.MISSING, field.name


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sets_one_key_a_line(name):
    tree = ast.parse((ROOT / "configs" / f"{name}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and "get_config" not in ast.unparse(node):
            keys = [target for target in node.targets if not isinstance(target, ast.Name)]
            is_section = "ConfigDict()" in ast.unparse(node.value)
            assert len(node.targets) == 1 or is_section, ast.unparse(node)
            assert not any(isinstance(key, ast.Tuple) for key in keys), ast.unparse(node)


@pytest.mark.parametrize("name", RECIPES)
def test_a_config_survives_json(name):
    config = load_recipe(name)
    back = config_from_json(config_to_json(config))
    assert back.to_dict() == config.to_dict()
    assert differing_keys(config, back) == []


def test_a_run_from_before_a_key_goes_on_with_its_default():
    config = default.get_config()
    config.batch_size, config.optimizer.learning_rate = 7, 0.5
    written = json.loads(config_to_json(config))
    del written["optimizer"]["start_share"], written["tta"]
    back = config_from_json(json.dumps(written))
    assert back.to_dict() == config.to_dict()


@pytest.mark.parametrize(
    ("kind", "loss", "plcc_weight", "what"),
    [
        ("binary", "supcon", 0.0, "supcon"),
        ("ordered", "triplet", 0.0, "triplet"),
        ("numeric", "huber", 0.5, "loss.regression.plcc_weight"),
        ("ranking", "hinge", 0.0, "hinge"),
        ("pairs", "", 0.0, "logistic"),
    ],
)
def test_a_loss_over_the_whole_batch_is_refused_in_parts(kind, loss, plcc_weight, what):
    config = default.get_config()
    config.data.manifest, config.data.label_kind = "manifest.csv", kind
    config.loss.name, config.loss.regression.plcc_weight = loss, plcc_weight
    config.accumulation_steps = 4
    sentence = f"accumulation_steps is 4, but {what} compares the examples of a batch"
    with pytest.raises(ConfigError, match=sentence):
        check_config(config)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.label_kind", "quality"),
        ("loss.name", "hubber"),
        ("model.encoder", "resnet"),
        ("tta.flips", "sideways"),
        ("tiles.shrink", 3),
    ],
)
def test_a_value_that_is_no_choice_hides_no_other_problem(key, value):
    config = default.get_config()
    config.update_from_flattened_dict({key: value, "batch_size": 0, "data.fractions": (1.0,)})
    config.uncertainty.scale_intervals = True  # Asks what the label kind is.
    with pytest.raises(ConfigError) as refused:
        check_config(config)
    shown = f'"{value}"' if isinstance(value, str) else value
    for start in (
        f"{key} is {shown}; the choices are",
        "batch_size is 0",
        "data.fractions is (1.0,",
    ):
        assert sum(line.startswith(start) for line in refused.value.problems) == 1, start


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("seed", -1, "seed is -1; it must be from 0 to 2147483647"),
        ("seed", 2**31, "it must be from 0 to 2147483647"),
        ("batch_size", 0, "batch_size is 0; it must be 1 or more"),
        ("epochs", 0, "epochs is 0; it must be 1 or more"),
        ("tiles.reference_side", -1, "tiles.reference_side is -1; it must be 0"),
        ("tiles.reference_side", 255, "reference side is 255 pixels, less than a tile's 256"),
        ("tiles.edge_sum_min", -1, "tiles.edge_sum_min is -1; it must be 0 or more"),
        ("tiles.edge_sum_max", -2, "tiles.edge_sum_max is -2; it must be -1"),
        ("data.fractions", (0.7, 0.3), "data.fractions is .*; give three shares: train, val"),
        ("data.fractions", (0.7, 0.2, 0.2), "data.fractions is .*must be from 0 to 1 and sum to 1"),
        ("data.fractions", (1.2, -0.1, -0.1), "data.fractions is .*must be from 0 to 1"),
        ("data.fractions", (0.0, 0.5, 0.5), "data.fractions is .*; train needs a share above 0"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_key(key, value, sentence):
    config = default.get_config()
    config.data.manifest = "manifest.csv"
    check_config(config)
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ConfigError, match=sentence) as refused:
        check_config(config)
    assert len(refused.value.problems) == 1


def test_a_loss_per_example_is_accepted_in_parts():
    config = default.get_config()
    config.data.manifest, config.accumulation_steps = "manifest.csv", 4
    check_config(config)
