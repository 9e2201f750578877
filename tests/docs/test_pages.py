"""The pages tell the truth: every command on them runs at toy size, every table is read.

A block that cannot run in a test has the reason above it, `<!-- not run: … -->`; its commands are
read by the command line all the same. The pages are run in their order in one folder. The runs that
other commands need are trained to their end, by the commands of the pages; what else trains ends
before its first step, when its flags, config and data are read: that every recipe takes steps and
every study ends is tested in test_configs and in the rooms. A small run stands for the built-in
scorer, which has tests of its own.
"""

import io
import re
import shutil
from pathlib import Path

import cv2
import jax
import numpy as np
import pandas as pd
import pytest
import skimage.data

from doc_pages import Block, Enough, expand, make_small, ours, pages, read_blocks, run, says
from iqa_jax.analysis import bootstrap
from iqa_jax.modes import train as train_module
from iqa_jax.run import packed
from iqa_jax.studies import study
from tiny import ROOT

BLOCKS = [block for page in pages() for block in read_blocks(page)]
RUN = [block for block in BLOCKS if block.language in ("sh", "python") and not block.reason]
LEFT = [block for block in BLOCKS if block.reason]
SCENES = 8
# Runs that are trained to their end, and the one that stands for the built-in scorer.
TRAINED = ("runs/photos", "runs/mos")
BUILT_IN = "runs/mos"
# What errors are about.
NO_RUNS = ("runs/nowhere", "runs/new")
COPIES = {"runs/before": "runs/photos"}
DROPPED = "runs/clean/confident_learning/dropped_tiles.csv"


class Desk:
    """The folder in which the commands of the pages are given, with all that they name."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._draw = np.random.default_rng(0)
        for name in ("new", "clean_photos", "broken"):
            self._write_image(folder / name / "1.png")
        self._write_image(folder / "new/2.png")
        for number in range(2, 13):
            self._write_image(folder / f"clean_photos/{number}.png", 64)
        (folder / "broken/2.jpg").write_bytes(b"")
        (folder / "list.txt").write_text("new/1.png\nnew/2.png\n")
        for block in BLOCKS:
            if block.table:
                self._write_table(folder / block.table, block.text)
        for name, table in (
            ("other.csv", "photos/manifest.csv"),
            ("mine.csv", "live/manifest.csv"),
        ):
            rows = pd.read_csv(folder / table).head(12)
            parent = Path(table).parent
            # Others than those that were trained on.
            rows["path"] = [self._copy(parent / path, name) for path in rows["path"]]
            rows.to_csv(folder / name, index=False)
        shutil.copytree(folder / "photos", folder / "data/sample_photos")

    def _write_table(self, path: Path, text: str) -> None:
        """Writes the rows of a page several times, each time of other images and groups."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = pd.read_csv(io.StringIO(text))
        tables = []
        for scene in range(SCENES):
            more = rows.copy()
            for name in more.columns:
                if name.startswith("path"):
                    more[name] = [f"{scene}_{value.replace('/', '_')}" for value in more[name]]
                    for image, label in zip(more[name], _qualities(more), strict=True):
                        if not (path.parent / image).exists():
                            self._write_image(path.parent / image, blur=label)
                elif name == "group":
                    more[name] = more[name] + f"_{scene}"
            tables.append(more)
        pd.concat(tables).to_csv(path, index=False)

    def _write_image(self, path: Path, side: int = 48, blur: float = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        scene = skimage.data.astronaut()
        top, left = self._draw.integers(512 - side, size=2)
        image = np.ascontiguousarray(scene[top : top + side, left : left + side, ::-1])
        cv2.imwrite(str(path), cv2.GaussianBlur(image, (0, 0), blur) if blur else image)

    def _copy(self, path: Path, table: str) -> str:
        """Gives a mirrored copy of an image a name of its own."""
        name = f"{table.removesuffix('.csv')}_images/{path.name}"
        (self.folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(self.folder / name), cv2.imread(str(self.folder / path))[:, ::-1])
        return name


def _qualities(rows: pd.DataFrame) -> list[float]:
    """Gives the blur of every image of a table: the worse its label, the more."""
    if "label" in rows:
        return [{"good": 0.0, "marginal": 1.0, "bad": 3.0}[label] for label in rows["label"]]
    if "mos" in rows:
        return list(3 * (1 - rows["mos"] / rows["mos"].max()))
    return [0.0] * len(rows)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """The folder of the commands, which is the current one while they run."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("desk")
        patch.chdir(folder)
        patch.setenv("TASK", "3")
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        # Over eight virtual devices, XLA compiles for minutes.
        for name in ("devices", "local_devices"):
            patch.setattr(jax, name, lambda devices=jax.devices()[:1]: devices)
        patch.setattr(jax, "device_count", lambda: 1)
        patch.setattr(bootstrap, "DRAWS", 60)
        patch.setattr(packed, "DEFAULT_SCORER", BUILT_IN)
        desk = Desk(folder)
        for place in TRAINED:
            make(place, desk)
        yield desk


def give(words: list[str], desk: Desk) -> tuple[int, str]:
    """Gives a command at toy size, after those that make the runs and files it names."""
    words, output = expand(words)
    made = _made_by(words)
    for place in re.findall(
        rf"{DROPPED}|runs/\w+|photos\.(?:safetensors|stablehlo)", " ".join(words)
    ):
        if place not in (made, *NO_RUNS) and not (desk.folder / place).exists():
            make(place, desk)
    small = make_small(words, desk.folder / "cache")
    with pytest.MonkeyPatch.context() as patch:
        if made not in TRAINED or (desk.folder / made / "metrics.json").exists():
            for module in (train_module, study):
                patch.setattr(module, "fit", _end)
        status, printed = run(small)
    if output:
        (desk.folder / output).write_text(printed)
    return status, printed


def _end(*_) -> None:
    raise Enough


def make(place: str, desk: Desk) -> None:
    """Makes a run or a file as the first page does that makes it."""
    if place in COPIES:
        shutil.copytree(desk.folder / COPIES[place], desk.folder / place)
        return
    if place == DROPPED:
        (desk.folder / place).parent.mkdir(parents=True, exist_ok=True)
        (desk.folder / place).write_text("image,row,column\n0_beach_1.png,0,0\n")
        return
    commands = (words for block in RUN if block.language == "sh" for words in block.commands())
    words = next((words for words in commands if _made_by(words) == place), None)
    assert words, f"no page has a command that makes {place}"
    status, printed = give(words, desk)
    assert status == 0, printed


def _made_by(words: list[str]) -> str:
    """Names the run or file that a command makes, "" if it makes none that others need."""
    trains = dict.fromkeys(("train", "compare", "protocol", "clean"), "workdir")
    flag = (trains | {"export": "output"}).get(words[1], "")
    values = (word.removeprefix(f"--{flag}=") for word in words if word.startswith(f"--{flag}="))
    return next(values, "") if flag else ""


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_runs(block: Block, desk: Desk):
    if block.language == "python":
        for place in re.findall(r"runs/\w+|photos\.(?:safetensors|stablehlo)", block.text):
            if not (desk.folder / place).exists():
                make(place, desk)
        exec(compile(block.text, str(block), "exec"), {})
        return
    for words in block.commands():
        status, printed = give(words, desk)
        is_error = block.prints.startswith("error:")
        assert status == (1 if is_error else 3 if "broken" in words else 0), printed
    assert says(printed, block.prints), printed


@pytest.mark.parametrize("block", LEFT, ids=str)
def test_a_block_that_is_not_run_is_read_all_the_same(block: Block):
    if block.language == "python":
        compile(block.text, str(block), "exec")
        return
    assert block.language in ("sh", "yaml") and block.commands()
    for words in block.commands():
        if command := ours(words):
            status, printed = run(command, is_only_read=True)
            assert status == 0, printed
        elif words[0] == "make":
            target = words[1]
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target


def test_a_wrong_flag_or_key_in_such_a_block_would_be_found():
    for wrong in ("--shard=1/2", "--config.epoch=2", "--config.epochs=many"):
        words = ["iqa-jax", "train", "--config=mos", "--workdir=x", wrong]
        assert run(words, is_only_read=True)[0] == 1


def test_a_command_without_a_language_would_be_passed_over():
    for block in BLOCKS:
        if not block.language:
            assert not re.search(r"iqa-jax |python |^make", block.text), f"{block}: say ```sh"
