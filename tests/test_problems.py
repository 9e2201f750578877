"""Every error of ours that is raised at a user ends a command with a sentence."""

import ast
import importlib

from iqa_jax.problems import PROBLEMS
from tiny import ROOT

# Raised and caught within the program; the user never meets them.
WITHIN = {"BadProfile", "PreparedError", "Stopped"}
# Of a command of its own, which ends with a sentence itself.
ELSEWHERE = {"LayoutError"}


def test_the_list_has_every_error_that_reaches_a_user():
    found = set()
    for folder in ("iqa_jax", "input_pipeline"):
        for path in (ROOT / folder).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.ClassDef) or "_" in node.name:
                    continue
                bases = {ast.unparse(base) for base in node.bases}
                if any(base.endswith(("Error", "Exception")) for base in bases):
                    found.add((module, node.name))
    names = {name for _, name in found}
    assert WITHIN | ELSEWHERE <= names
    errors = {getattr(importlib.import_module(module), name) for module, name in found
              if name not in WITHIN | ELSEWHERE}  # fmt: skip
    assert errors == {*PROBLEMS} - {OSError}
