"""A module's tests lie in the same room, in a file of its name; what has none is listed here."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

from tiny import ROOT

# Module, or pattern of some -> the file with the tests of what uses it. Most are values alone, or
# hold together what has tests of its own and make sense only in a whole run.
TESTED_ELSEWHERE = {
    "evaluation/evaluator.py": "evaluation/test_calibrated_run.py",
    "evaluation/paired.py": "modes/test_compare_runs.py",
    "__main__.py": "test_installed.py",
    "own_packages.py": "test_installed.py",
    "program.py": "test_main.py",
    "input_pipeline/datasets/__main__.py": "input_pipeline/datasets/test_datasets.py",
    "learning/tasks/task.py": "learning/tasks/test_tasks.py",
    "models/fusions/*.py": "models/fusions/test_fusions.py",
    "reporting/cleaning.py": "modes/test_clean.py",
    "reporting/pages/cleaning.py": "modes/test_clean.py",
    "reporting/pages/report.py": "reporting/pages/test_html.py",
    "reporting/pages/scores.py": "reporting/test_score_page.py",
    "reporting/reported_run.py": "reporting/test_run_images.py",
    "scoring/explainer.py": "scoring/test_image_explainer.py",
    "scoring/exported/about.py": "scoring/exported/test_onnx_file.py",
    "scoring/exported/onnx_graph.py": "scoring/exported/test_onnx_file.py",
    "scoring/exported/onnx_operators.py": "scoring/exported/test_onnx_file.py",
    "studies/baselines/rows.py": "studies/baselines/test_baselines.py",
    "studies/protocol_figures.py": "modes/test_protocol.py",
    "studies/study.py": "modes/test_protocol.py",
    "training/training_error.py": "test_problems.py",
}


def untested_modules() -> list[str]:
    """Lists the modules without a test file of their name, by their place under `tests/`."""
    found = []
    for package, home in (("iqa_jax", ""), ("input_pipeline", "input_pipeline")):
        for path in (ROOT / package).rglob("*.py"):
            place = Path(home) / path.relative_to(ROOT / package)
            test = ROOT / "tests" / place.with_name(f"test_{place.name}")
            if path.name != "__init__.py" and not test.is_file():
                found.append(place.as_posix())
    return found


def test_every_module_has_a_test_file_of_its_name():
    missing = [
        module
        for module in untested_modules()
        if not any(fnmatch(module, pattern) for pattern in TESTED_ELSEWHERE)
    ]
    assert not missing, f"no tests/…/test_<module>.py, nor an entry here: {sorted(missing)}"


@pytest.mark.parametrize("pattern", TESTED_ELSEWHERE)
def test_an_entry_is_needed_and_names_a_test_file(pattern):
    assert (ROOT / "tests" / TESTED_ELSEWHERE[pattern]).is_file()
    assert any(fnmatch(module, pattern) for module in untested_modules()), "it has its own tests"
