"""What pages name is there: links, files, keys, flags, figures, and sections of the report."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from configs import default
from doc_pages import pages
from iqa_jax.analysis.metric_table import FIGURES
from iqa_jax.mode_flags import FLAGS, MODES
from iqa_jax.reporting.pages.html import _SECTIONS
from iqa_jax.run.renamed import renaming
from recipes import RECIPES
from tiny import ROOT

PAGES = [*pages(), "ARCHITECTURE.md", "CONTRIBUTING.md"]
# What begins like a key of a config, and is an attribute or a file.
_NO_KEYS = re.compile(
    r".*\.(py|csv|json|jsonl|md|html|txt|npz|png|gz|parquet|safetensors|lock|jpg)$"
)


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def anchors_of(page: str) -> set[str]:
    """Names the headings of a page as GitHub and mkdocs link to them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL), re.M
    )
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).strip() for heading in headings]
    return {re.sub(r"[ ]+", "-", heading) for heading in plain}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]*)?)\)", text_of(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.is_file(), f"{page}: {target}"
        if page.startswith("docs/"):  # The site holds nothing from elsewhere.
            assert path.resolve().is_relative_to(ROOT / "docs"), f"{page}: {target}"
        if anchor:
            assert anchor in anchors_of(str(path.resolve().relative_to(ROOT))), f"{page}: {target}"


def test_every_page_is_in_the_order_of_the_site_and_on_the_first_page():
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    assert there == set(pages()) - {"README.md"}
    start = text_of("docs/index.md")
    for page in there - {"docs/index.md", "docs/leak.md", "docs/api/parts.md"}:
        assert f"]({page.removeprefix('docs/')})" in start


def keys(config: ConfigDict, prefix: str = "") -> set[str]:
    found = set()
    for name, value in config.items():
        found.add(prefix + name)
        if isinstance(value, ConfigDict):
            found |= keys(value, f"{prefix}{name}.")
    return found


KEYS = keys(default.get_config())
_SECTION_NAMES = {key.partition(".")[0] for key in KEYS if "." in key}


def named_keys(text: str) -> set[str]:
    """Finds what a text names as a key: after --config., or by section and name in code."""
    found = set(re.findall(r"--config\.([a-z_0-9.]+)", text))
    for code in re.findall(r"`([^`\n]+)`", text):
        if key := re.fullmatch(r"\"?([a-z_]+\.[a-z_0-9.]+)(?:=.*)?", code):
            if key[1].partition(".")[0] in _SECTION_NAMES and not _NO_KEYS.match(key[1]):
                found.add(key[1])
    return {key.rstrip(".") for key in found}


@pytest.mark.parametrize("page", PAGES)
def test_keys_that_a_page_names_are_keys(page):
    for key in named_keys(text_of(page)):
        if key.startswith("data.manifests.") or page == "docs/faq.md" and renaming(key):
            continue
        if (
            page == "docs/faq.md" and key == "optimizer.learning_rat"
        ):  # The error of a misspelt one.
            continue
        assert key in KEYS, f"{page}: there is no key {key}"


def test_a_key_that_is_none_would_be_found():
    text = "`tiles.siz=3`, `tiles.size`, `docs/figures.md`, `--config.epoch=1`, `data.csv`"
    assert named_keys(text) - KEYS == {"tiles.siz", "epoch"}


@pytest.mark.parametrize("page", PAGES)
def test_flags_modes_recipes_and_modules_that_a_page_names_are_there(page):
    text = text_of(page)
    for mode in re.findall(r"--mode=(\w+)", text):
        assert mode in {*MODES, "X"}, f"{page}: --mode={mode}"
    for mode in re.findall(r"`iqa-jax ([a-z_]+)[ `]", text):
        assert mode in {*MODES, "completion"}, f"{page}: iqa-jax {mode}"
    for recipe in re.findall(r"(?:--config=(?!configs/)|configs/(?=\w+\.py))([a-z0-9_]+)", text):
        assert recipe in RECIPES, f"{page}: the recipe {recipe}"
    for module in re.findall(r"python -m ((?:benchmarks|input_pipeline|iqa_jax)[\w.]*)", text):
        assert importlib.util.find_spec(module.rstrip(".")), f"{page}: python -m {module}"
    for target in re.findall(r"`make ([a-z]+)", text):
        assert re.search(rf"^{target}:", text_of("Makefile"), re.M), f"{page}: make {target}"
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    for extra in re.findall(r"\.\[(\w+)\]", text):
        assert extra in extras, f"{page}: the extra {extra}"


def rows_of(page: str, heading: str) -> list[str]:
    """Gives the first cells of the table below a heading."""
    part = text_of(page).partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (.+?) \|", part, re.M)
    return [cell for cell in cells[1:] if not set(cell) <= {"-", " "}]


def test_the_sections_of_the_report_are_told_in_their_order():
    told = [
        name
        for cell in rows_of("docs/report.md", "## From top to bottom")
        for name in cell.split(", ")
    ]
    there = [title for _, title, _ in _SECTIONS]
    assert told == there


def test_the_figures_that_are_explained_are_those_of_the_program():
    told = re.findall(r"`(\w+)`", " ".join(rows_of("docs/report.md", "## The figures")))
    assert told and set(told) <= set(FIGURES)


def test_every_recipe_is_told():
    told = re.findall(r"`(\w+)`", " ".join(rows_of("docs/train.md", "## Which recipe")))
    assert set(told) >= set(RECIPES) - {"default"}


def test_every_flag_is_on_some_page():
    everything = " ".join(map(text_of, pages()))
    for name in FLAGS:
        assert f"--{name}" in everything, name
    assert Path(ROOT / "docs/beam_scoring.py").is_file() and "docs/beam_scoring.py" in everything
