"""Every recipe takes two steps, and every key of the default is read by some code."""

import ast
import csv
import dataclasses
import inspect
from pathlib import Path

import cv2
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
from iqa_jax.run.config import differing_keys
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


def mirror(manifest: Path, turns: int) -> Path:
    """Puts turned and mirrored pictures in the place of a manifest's: no two sets may share any."""
    table = pd.read_csv(manifest)
    for number, path in enumerate(table["path"]):
        table.loc[number, "path"] = f"{number}.png"
        mirrored = np.rot90(cv2.imread(path)[:, ::-1], turns)
        cv2.imwrite(str(manifest.with_name(f"{number}.png")), mirrored)
    table.to_csv(manifest, index=False)
    return manifest


def narrow_recipe(name: str, manifest: Path, folder: Path) -> ConfigDict:
    """Gives a recipe for the tiny manifest, with a network that compiles in seconds."""
    config = load_recipe(name)
    config.data.manifest = str(relabel(config, manifest, folder))
    for turns, (set_name, one) in enumerate(config.data.manifests.items()):
        other = config.copy_and_resolve_references()
        other.data.update(
            {key: one[key] for key in ("label_column", "minimum", "maximum", "higher_is_better")}
        )
        (folder / set_name).mkdir()
        one.path = str(mirror(relabel(other, manifest, folder / set_name), turns))
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
        if key.startswith("data.manifests."):  # A recipe names its sets itself.
            continue
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
    # Further sets of images are no component.
    assert sections == nested - {"data.manifests"}


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
