"""Eight virtual devices, a compilation cache, checked types, and a run that trains in seconds."""

import csv
import ctypes
import gc
import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path

from programs import started
from tiny import ROOT, make_tiny_config

# The devices are virtual ones of the CPU, here and in the processes that tests start.
os.environ["JAX_PLATFORMS"] = "cpu"
# Tests compile far longer than they compute: no optimisation halves their time.
_XLA_FLAGS = ["--xla_backend_optimization_level=0"]
if version("jaxlib").startswith("0.10."):  # A flag that XLA does not know ends the process.
    _XLA_FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(_XLA_FLAGS))

import cv2
import flax.linen
import jax
import numpy as np
import optax
import pandas as pd
import psutil
import pytest
import skimage.data
import sklearn.datasets
from jaxtyping import config as jaxtyping_config
from jaxtyping import install_import_hook

# Shapes and types of arguments and results are checked in the tests of these rooms, however deep.
# What is imported before has no checks: nothing above imports them. Batches and distortions make
# functions that worker processes get, and a function that checks cannot be sent.
_CHECKED = ("iqa_jax.models", "iqa_jax.learning", "iqa_jax.analysis", "input_pipeline.checks",
            "input_pipeline.files", "input_pipeline.tables", "input_pipeline.tiles")  # fmt: skip
install_import_hook(_CHECKED, "checked_types.checked")
jaxtyping_config.update("jaxtyping_disable", True)

jax.config.update("jax_num_cpu_devices", 8)
# The folder of main.py: what one start has compiled, tests and other starts find.
jax.config.update("jax_compilation_cache_dir", os.path.expanduser("~/.cache/iqa_jax/compiled"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

SPLITS = ("train", "train", "train", "train", "val", "test")


# Of a process between tests; what a training compiles and frees is 150 MB that nobody needs again.
_GROWTH = 200 << 20
_process = psutil.Process()
_kept = _process.memory_info().rss


@pytest.fixture(autouse=True)
def _give_memory_back():
    """Forgets what is compiled once the process has grown; the folder above has it."""
    yield
    global _kept
    if _process.memory_info().rss - _kept < _GROWTH:
        return
    jax.clear_caches()
    gc.collect()
    # The C library keeps what is freed, in pieces too small for the next training.
    with suppress(AttributeError):  # It is not glibc.
        ctypes.CDLL(None).malloc_trim(0)
    _kept = _process.memory_info().rss


@pytest.fixture(scope="session")
def tiny_manifest(tmp_path_factory) -> Path:
    """A manifest of 42 PNG images of 64x64 pixels: per scene 3 good, 3 bad, 1 marginal."""
    folder = tmp_path_factory.mktemp("tiny")
    scenes = [
        skimage.data.astronaut(),
        skimage.data.chelsea(),
        skimage.data.coffee(),
        skimage.data.rocket(),
        *sklearn.datasets.load_sample_images().images,
    ]
    rng = np.random.default_rng(0)
    rows = []
    for number, (scene, split) in enumerate(zip(scenes, SPLITS, strict=True)):
        for take in range(7):
            top, left = (int(rng.integers(side - 64)) for side in scene.shape[:2])
            image = np.ascontiguousarray(scene[top : top + 64, left : left + 64])
            label = ("good", "bad", "good", "bad", "good", "bad", "marginal")[take]
            if label != "good":
                image = cv2.GaussianBlur(image, (0, 0), 3.0 if label == "bad" else 1.0)
            path = folder / f"scene{number}_{take}.png"
            cv2.imwrite(str(path), image[:, :, ::-1])
            rows.append((path.name, label, f"scene{number}", split, 10.0 * number + take))
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "group", "split", "exposure"))
        writer.writerows(rows)
    return manifest


def _is_of_a_pure_room(path: Path) -> bool:
    return path.relative_to(ROOT / "tests").parts[0] in ("analysis", "learning", "models")


@pytest.fixture(autouse=True)
def _checked_types(request, monkeypatch):
    """Checks types and shapes in the tests of the rooms that are checked."""
    folders = {tuple(room.replace("iqa_jax.", "").split(".")) for room in _CHECKED}
    parts = request.path.relative_to(ROOT / "tests").parts
    if parts[:1] in folders or parts[:2] in folders or request.path.stem == "test_checked_types":
        monkeypatch.setattr(jaxtyping_config, "jaxtyping_disable", False)


def pytest_collection_modifyitems(items):
    """Makes warnings errors in the tests of the pure rooms, if they are of the test itself."""
    errors = pytest.mark.filterwarnings(
        "error",
        # Another process may be writing what this one finds in the folder of what is compiled.
        "ignore:Error reading persistent compilation cache entry:UserWarning",
        # Of an earlier test's threads and garbage.
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    )
    for item in items:
        if _is_of_a_pure_room(item.path):
            item.add_marker(errors)


@pytest.fixture(autouse=True)
def _strict_promotion(request, monkeypatch):
    """Lets no dtype become another unasked in the tests of the pure rooms."""
    if not _is_of_a_pure_room(request.path):
        yield
        return
    loose = jax.numpy_dtype_promotion("standard")
    # Optax's Adam raises a float to the power of a whole number, and its schedules divide steps.
    monkeypatch.setattr(optax.tree, "bias_correction", loose(optax.tree.bias_correction))
    make_schedule = optax.warmup_cosine_decay_schedule
    monkeypatch.setattr(
        optax, "warmup_cosine_decay_schedule", lambda *given: loose(make_schedule(*given))
    )
    # Flax's LayerNorm takes the statistics of bfloat16 in float32.
    monkeypatch.setattr(flax.linen.LayerNorm, "__call__", loose(flax.linen.LayerNorm.__call__))
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def unchecked_types(monkeypatch):
    """Lets wrong types and shapes pass, as outside tests, to what looks for them itself."""
    monkeypatch.setattr(jaxtyping_config, "jaxtyping_disable", True)


@pytest.fixture
def one_device(monkeypatch):
    """Lets a program run on one device: XLA compiles it for minutes over eight virtual ones."""
    for name in ("devices", "local_devices"):
        monkeypatch.setattr(jax, name, lambda devices=jax.devices()[:1]: devices)
    monkeypatch.setattr(jax, "device_count", lambda: 1)


@pytest.fixture
def tiny_config(tiny_manifest):
    """The config of a tiny run; change it freely."""
    return make_tiny_config(tiny_manifest)


@pytest.fixture
def unsplit_config(tiny_config, tiny_manifest, tmp_path):
    """The config of a tiny run on embeddings, whose manifest leaves the splits to be drawn."""
    with tiny_manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    manifest = tmp_path / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, ("path", "label", "group"), extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            path = str(tiny_manifest.parent / row["path"])
            writer.writerow(row | {"path": path})
    tiny_config.data.manifest, tiny_config.data.features = str(manifest), ()
    # On embeddings the training step compiles in seconds.
    tiny_config.model.encoder = "mobilenet_v2"
    tiny_config.encoder.mobilenet_v2.width_multiplier, tiny_config.model.weights = 1.0, "imagenet"
    tiny_config.model.trainable_layers = 0
    tiny_config.bags.cached, tiny_config.bags.tiles = True, 4
    tiny_config.bags.cache_folder = str(tmp_path / "embeddings")
    return tiny_config


@pytest.fixture
def opinion_config(unsplit_config, monkeypatch):
    """The same with opinion scores and their standard deviation, on two random splits."""
    from iqa_jax.analysis import bootstrap

    monkeypatch.setattr(bootstrap, "DRAWS", 60)
    config, data = unsplit_config, unsplit_config.data
    scores = {"good": 80.0, "marginal": 50.0, "bad": 20.0}
    rng = np.random.default_rng(0)
    table = pd.read_csv(data.manifest, dtype=str)
    noise = rng.normal(scale=5, size=len(table))
    table = table.assign(label=table["label"].map(scores) + noise, std="30")
    table.to_csv(data.manifest, index=False)
    data.label_kind, data.label_std_column = "numeric", "std"
    config.balanced_sampling, config.early_stopping.metric = False, "srcc"
    config.epochs, config.protocol.splits = 2, 2
    return config


@pytest.fixture(scope="session")
def tiny_run(tiny_manifest, tmp_path_factory) -> Path:
    """The workdir of a tiny run that is finished; only to be read."""
    from iqa_jax.modes.train import train

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert train(make_tiny_config(tiny_manifest), str(folder), "") == 0
    return folder


@pytest.fixture(scope="session")
def prepared(tiny_manifest, tmp_path_factory) -> dict[str, Path]:
    """The tiny manifest as a data set of whole images and one of tiles, in several shards."""
    from iqa_jax.modes.prepare import prepare

    folders = {}
    for what in ("images", "tiles"):
        config = make_tiny_config(tiny_manifest)
        config.prepare.what, config.prepare.images_per_shard = what, 5
        folders[what] = tmp_path_factory.mktemp("prepared") / what
        assert prepare(config, str(folders[what])) == 0
    return folders


@pytest.fixture
def start_program():
    """Starts programs that end with the test, however it ends; arguments as of `started`."""
    with ExitStack() as stack:
        yield lambda *given, **options: stack.enter_context(started(*given, **options))


@pytest.fixture
def start_main(start_program):
    """Starts `python main.py`, on the devices that tests have or fewer; gives the process."""

    def start(*arguments: str, devices: int = 8, **options) -> subprocess.Popen:
        return start_program(
            [sys.executable, str(ROOT / "main.py"), *arguments],
            env={**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)},
            **options,
        )

    return start
