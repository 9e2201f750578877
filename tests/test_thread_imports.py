"""Threads find imported what they need: several that import at once can wait for ever.

TFDS imports its parts at first use, through cached properties; on Python 3.11 a thread that holds
the lock of one and a thread that holds a module's import lock can each wait for the other.
"""

import json
import os
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from programs import run_program
from tiny import ROOT, TINY

# Runs a script that is its first argument and then prints, as the last line, which modules another
# thread than the main one was the first to ask for.
RECORDER = """
import json, runpy, sys, threading

class Recorder:
    found = {}

    def find_spec(self, name, path=None, target=None):
        thread = threading.current_thread()
        if thread is not threading.main_thread():
            self.found.setdefault(name, thread.name)

sys.meta_path.insert(0, Recorder())
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("\\n" + json.dumps(Recorder.found))
"""
# Every kind of distortion, as threads make them of training tiles and of what is evaluated.
DISTORT = """
import numpy as np
from input_pipeline.batches.ahead import map_ahead
from input_pipeline.distortions.catalogue import DISTORTIONS, distort

tile = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
for _ in map_ahead(lambda kind: distort(tile, kind, 3, np.random.default_rng(0)), DISTORTIONS,
                   threads=4):
    pass
"""


def run_recorded(script, *arguments: str) -> dict[str, str]:
    done = run_program(
        [sys.executable, "-c", RECORDER, str(script), *arguments],
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": str(ROOT)},
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def photos(tiny_manifest, tmp_path_factory):
    """The tiny manifest with an image of every format."""
    folder = tmp_path_factory.mktemp("formats")
    table = pd.read_csv(tiny_manifest)
    endings = [".jpg", ".png", ".webp", ".bmp", ".tif"]
    for number, path in enumerate(table["path"]):
        image = cv2.imread(str(tiny_manifest.parent / path))
        name = f"{number}{endings[number % len(endings)]}"
        cv2.imwrite(str(folder / name), image if number % 7 else image.astype(np.uint16) * 257)
        table.loc[number, "path"] = name
    table.to_csv(folder / "manifest.csv", index=False)
    return folder


def test_no_thread_is_the_first_to_import_a_module(photos, tiny_run, tmp_path):
    keys = [f"--config.{key}={value}" for key, value in TINY.items()]
    tiny = ("--config=configs/default.py", *keys)
    found = run_recorded(
        ROOT / "main.py",
        "--mode=prepare",
        *tiny,
        f"--config.data.manifest={photos / 'manifest.csv'}",
        "--config.prepare.what=tiles",
        "--config.prepare.images_per_shard=4",
        f"--output={tmp_path / 'prepared'}",
    )
    assert not found and (tmp_path / "prepared" / "manifest.parquet").exists()
    found = run_recorded(
        ROOT / "main.py",
        *tiny,
        f"--config.data.manifest={tmp_path / 'prepared'}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert not found and (tmp_path / "run" / "report.html").exists()
    found = run_recorded(
        ROOT / "main.py",
        "--mode=predict",
        f"--workdir={tiny_run}",
        f"--images={photos}",
        f"--output={tmp_path / 'scores.csv'}",
    )
    assert not found and (tmp_path / "scores.csv").exists()


def test_no_thread_is_the_first_to_import_what_distortions_need(tmp_path):
    (tmp_path / "distort.py").write_text(DISTORT)
    assert run_recorded(tmp_path / "distort.py") == {}
