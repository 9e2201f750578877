"""Docstrings are of one dialect: the name of a section alone, its entries indented by four."""

import ast
import inspect
import re

import pytest

from tiny import ROOT

SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Source|Yields)\b *:(.*)")
FOLDERS = ("benchmarks", "configs", "docs", "input_pipeline", "iqa_jax", "tests")


def find_odd_sections(docstring: str) -> list[str]:
    """Names the sections that are of another dialect."""
    lines, odd = inspect.cleandoc(docstring).splitlines(), []
    for number, line in enumerate(lines):
        if not (section := SECTION.match(line)):
            continue
        entry = lines[number + 1] if number + 1 < len(lines) else ""
        indent = len(entry) - len(entry.lstrip())
        if section[2] or indent != 4:
            odd.append(line)
    return odd


@pytest.mark.parametrize("folder", FOLDERS)
def test_sections_are_of_one_dialect(folder):
    paths = [*(ROOT / folder).rglob("*.py"), ROOT / "main.py"]
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        f"{path.relative_to(ROOT)}, {getattr(node, 'name', 'module')}": ast.get_docstring(node)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, owners)
    }
    odd = {place: find_odd_sections(text) for place, text in docstrings.items() if text}
    assert not {place: sections for place, sections in odd.items() if sections}
    assert any(docstrings.values())


def test_another_dialect_is_found():
    assert find_odd_sections("One.\n\nArgs:\n  x: two.\n\nReturns:\n    Four.") == ["Args:"]
    assert find_odd_sections("One.\n\nSource: a book.") == ["Source: a book."]
