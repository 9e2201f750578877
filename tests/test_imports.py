"""Imports run downward only, without circles; who may import what is written here."""

import ast
import graphlib
import itertools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("input_pipeline", "iqa_jax", "configs")
    for path in sorted((ROOT / folder).rglob("*.py"))
} | {"main": ROOT / "main.py"}
# Each room may import the rooms named, besides its own and, from `run` upward, `input_pipeline`.
BELOW = {
    "program": {"modes", "training", "scoring", "run", "learning", "models", "host", "configs"},
    "modes": {
        *("studies", "training", "reporting", "evaluation", "scoring", "run", "learning"),
        *("analysis", "host"),
    },
    "studies": {
        *("training", "evaluation", "scoring", "run", "learning", "analysis", "models", "host"),
    },
    "training": {"evaluation", "scoring", "run", "learning", "analysis", "host"},
    "reporting": {"evaluation", "scoring", "run", "analysis", "host"},
    "evaluation": {"scoring", "run", "analysis", "host"},
    "scoring": {"run", "learning", "analysis", "models", "host"},
    "run": {"learning", "analysis", "models", "configs", "host"},
    "learning": {"models"},
    "analysis": {"models"},
    "models": set(),
    # Names of files are printed by one rule, which needs nothing but Python.
    "host": {"input_pipeline"},
    "input_pipeline": set(),
    "configs": set(),
}
# Says which package is missing; it needs nothing but Python.
ANYWHERE = "input_pipeline.extras"
# Besides those named *_from_config, and modes and `run`: what makes configs of other runs of one,
# and what trains such a run or a run's baselines.
TAKERS = {
    "training.data.prepare_training",
    "training.loop.fit",
    "studies.study.run_study",
    "studies.study._train_and_test",
    "studies.baseline_runs.run_baselines",
    "studies.label_noise.plan_folds",
    "studies.label_noise.judge_tiles",
    "studies.baselines.deep_biq.encoder_config",
    "studies.baselines.deep_biq.fit_deep_biq",
}
for _room in ("program", *list(BELOW)[1:8]):
    BELOW[_room].add("input_pipeline")


def room_of(module: str) -> str:
    """Names the room of a module; what lies in no folder of iqa_jax is the program itself."""
    parts = module.split(".")
    if parts[0] in ("input_pipeline", "configs"):
        return parts[0]
    return parts[1] if len(parts) > 1 and parts[1] in BELOW else "program"


def imports_of(module: str, is_top_only: bool = False) -> set[str]:
    """Names what a module imports, as deep as a file of ours goes."""
    tree = ast.parse(FILES[module].read_text())
    found = set()
    for node in tree.body if is_top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write the whole name of {node.module}"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in FILES else node.module)
    return found


def packages_of(module: str, is_top_only: bool = False) -> set[str]:
    return {name.split(".")[0] for name in imports_of(module, is_top_only)}


@pytest.mark.parametrize("module", FILES)
def test_rooms_import_downward_only(module):
    room = room_of(module)
    for imported in imports_of(module) & set(FILES) - {ANYWHERE}:
        assert room_of(imported) in BELOW[room] | {room}, f"{module} imports {imported}"


def test_no_circles():
    graph = {module: imports_of(module) & set(FILES) for module in FILES}
    list(graphlib.TopologicalSorter(graph).static_order())


def test_input_pipeline_knows_no_jax():
    for module in FILES:
        if room_of(module) == "input_pipeline":
            assert not packages_of(module) & {"jax", "flax", "optax", "iqa_jax", "ml_collections"}


def test_no_room_imports_a_mode_but_modes_and_the_program():
    for module in FILES:
        if room_of(module) not in ("modes", "program"):
            assert not [name for name in imports_of(module) if "iqa_jax.modes" in name], module


def test_pages_know_values_alone():
    for module in FILES:
        if module.startswith("iqa_jax.reporting.pages"):
            assert "ml_collections" not in packages_of(module), module
            for imported in imports_of(module) & set(FILES):
                home = room_of(imported)
                is_page = imported.startswith("iqa_jax.reporting.pages")
                assert is_page or home == "analysis", f"{module} imports {imported}"


def test_pure_rooms_know_no_configs():
    for module in FILES:
        if room_of(module) in ("learning", "analysis", "models", "host"):
            assert "ml_collections" not in packages_of(module), module


def functions_of(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def takes_config(function: ast.FunctionDef) -> bool:
    """Tells whether a parameter is a config, or holds some, by its name or its type."""
    arguments = function.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters += filter(None, [arguments.vararg, arguments.kwarg])
    return any(
        one.arg in ("config", "configs") or (one.annotation and is_of_config(one.annotation))
        for one in parameters
    )


def is_of_config(annotation: ast.expr) -> bool:
    return "ConfigDict" in ast.unparse(annotation)


def test_only_modes_run_and_builders_take_a_config():
    found = set()
    for module in FILES:
        if room_of(module) not in ("program", "modes", "run", "configs"):
            found |= {
                f"{module.removeprefix('iqa_jax.')}.{function.name}"
                for function in functions_of(ast.parse(FILES[module].read_text()))
                if takes_config(function) and not function.name.endswith("_from_config")
            }
    assert found == TAKERS


def test_only_builders_hold_a_config():
    """No attribute and no variable is one: what a builder has built are values."""
    for module in FILES:
        if room_of(module) in ("program", "modes", "run", "configs"):
            continue
        tree = ast.parse(FILES[module].read_text())
        builders = [function for function in functions_of(tree) if takes_config(function)]
        allowed = {id(node) for function in builders for node in ast.walk(function)}
        for node in ast.walk(tree):
            place = f"{module}, line {getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ClassDef):
                fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
                assert not any(is_of_config(one.annotation) for one in fields), place
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value:
                is_read = isinstance(node.value, ast.Call) and (
                    ast.unparse(node.value.func).endswith(".config")
                )
                assert not is_read or id(node) in allowed, place
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                assert node.attr.strip("_") != "config", place


def test_one_importer_of_orbax():
    importers = [module for module in FILES if "orbax" in packages_of(module)]
    assert importers == ["iqa_jax.learning.checkpoint"]


def test_nothing_heavy_at_start():
    # main.py reads its flags and a recipe before it knows whether anything will run.
    heavy = {"jax", "flax", "tensorflow", "clu", "matplotlib", "pandas", "numpy", "orbax", "grain"}
    reached, waiting = set(), {"main", *(name for name in FILES if room_of(name) == "configs")}
    while waiting:
        module = waiting.pop()
        reached.add(module)
        waiting |= (imports_of(module, is_top_only=True) & set(FILES)) - reached
    for module, package in itertools.product(sorted(reached), heavy):
        assert package not in packages_of(module, is_top_only=True), module


def test_tensorflow_and_torch_only_where_they_are_needed():
    for module in FILES:
        assert not packages_of(module, is_top_only=True) & {"tensorflow", "torch"}, module
