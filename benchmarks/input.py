"""Times the input pipeline against PyTorch's DataLoader: decode, cut, filter, batch.

    python -m benchmarks.input

Both sides read the same JPEGs, choose some tiles of each at random among those of the grid whose
edge sum is in a band, move them at random (one that leaves the band is put back), and give uint8
batches. Which tiles of the grid are in the band is known to both beforehand. Our side is
the stream that training takes its batches from; the peer is a map-style data set that opens the
files with Pillow, behind a DataLoader: as it comes with a worker per core, with twice as many, and
with the memory setting that iqa_jax uses on CPU (`iqa_jax.host.machine.memory`).

    same_work       every image is decoded each time, on both sides: the ratio that counts
    cached          ours keeps decoded images as host.cache_gigabytes says, and here all fit: from
                    the second epoch on it decodes nothing, which the peer still does
    prepared        ours decodes each time, out of what --mode=prepare wrote

Each side lives in a process of its own and the sides take turns. A turn opens an endless stream,
lets it come up to speed, takes the time of some batches, and closes it. `megabytes` are largest
resident sets, `before` the first batch and in all; a worker's pages are partly its parent's.
"""

import argparse
import contextlib
import csv
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.machine import describe_machine
from benchmarks.predict import write_photos

OURS = ("same_work", "cached", "prepared")
PEERS = ("pytorch", "pytorch_more_workers", "pytorch_kept_memory")
# At most so many batches are under way at once, on either side.
SETTLING = 8
# Opens a stream of batches, and closes it.
Stream = Callable[[], contextlib.AbstractContextManager[Iterator[Any]]]


class Work(NamedTuple):
    """What every side does.

    Attributes:
        tiles: taken of an image each time.
        batch: images in a batch.
        low, high: the band of edge pixels, both ends included.
        size: side of a tile in pixels.
    """

    tiles: int
    batch: int
    low: int
    high: int
    size: int = 256


def write_manifest(folder: Path, paths: Sequence[str]) -> str:
    """Writes the table of some photographs, all to train on, and gives its path."""
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        writer.writerows((path, ("bad", "good")[n % 2], "train") for n, path in enumerate(paths))
    return str(folder / "manifest.csv")


def config_of(work: Work, manifest: str):
    """Gives the config that makes our training do the work."""
    from configs import default

    config = default.get_config()
    config.data.manifest = manifest
    config.balanced_sampling = False
    config.batch_size, config.bags.tiles = work.batch, work.tiles
    config.tiles.size = config.tiles.stride = work.size
    config.tiles.edge_sum_min, config.tiles.edge_sum_max = work.low, work.high
    return config


def open_training(work: Work, manifest: str, *, is_cached: bool):
    """Opens what a run would train on; the images are known to be sound.

    Returns:
        The config and the `TrainingData`.
    """
    from input_pipeline.tiles.features import FeatureTable
    from iqa_jax.run import build
    from iqa_jax.training.data import TrainingData, tile_index_from_config

    config = config_of(work, manifest)
    table = build.manifest_from_config(config)
    source = build.source_from_config(config, table, cached=is_cached)
    index = tile_index_from_config(config, source, list(table.images.index))
    return config, TrainingData(table, source, index, FeatureTable(), {}, "", None, pd.DataFrame())


class PhotoTiles:
    """The peer's map-style data set.

    Args:
        paths: of the photographs.
        origins: of each, the tiles of the grid that are in the band, [tile, 2] top and left.
        work: to do.
    """

    def __init__(self, paths: Sequence[str], origins: Sequence[np.ndarray], work: Work):
        self.paths, self.origins, self.work = paths, origins, work

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[np.ndarray, int]:
        return self.read(number, np.random.default_rng()), number % 2

    def read(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """Gives some tiles of a photograph, [tile, size, size, 3] uint8."""
        with Image.open(self.paths[number]) as image:
            pixels = np.asarray(image.convert("RGB"))
        origins, size, reach = self.origins[number], self.work.size, self.work.size - 1
        if len(origins) > self.work.tiles:
            origins = origins[np.sort(rng.choice(len(origins), self.work.tiles, replace=False))]
        last, tiles = np.array(pixels.shape[:2]) - size, []
        for still in origins:
            moved = still + rng.integers(-reach, reach, size=2, endpoint=True)
            tile = cut_tile(pixels, np.clip(moved, 0, last), size)
            edges = cv2.Canny(cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY), 50, 70)
            is_kept = self.work.low <= np.count_nonzero(edges) <= self.work.high
            tiles.append(tile if is_kept else cut_tile(pixels, still, size))
        return np.stack(tiles)


def cut_tile(pixels: np.ndarray, origin: np.ndarray, size: int) -> np.ndarray:
    """Cuts a tile that lies inside the picture."""
    top, left = origin
    return pixels[top : top + size, left : left + size]


def build_iqa_jax(work: Work, manifest: str, is_cached: bool) -> Stream:
    """Gives what opens our stream of batches."""
    os.environ["JAX_PLATFORMS"] = "cpu"

    from iqa_jax.host.machine import set_up_host
    from iqa_jax.training.data import batch_settings_from_config

    set_up_host()
    config, data = open_training(work, manifest, is_cached=is_cached)
    if is_cached:
        for image_id in data.manifest.images.index:
            data.source.image(image_id)

    @contextlib.contextmanager
    def stream():
        batches = data.batches(batch_settings_from_config(config))
        yield batches
        batches.close()

    return stream


def build_pytorch(
    work: Work, paths: Sequence[str], origins: Sequence[np.ndarray], workers: int
) -> Stream:
    """Gives what opens the peer's stream of batches."""
    from torch.utils.data import DataLoader, RandomSampler

    dataset = PhotoTiles(paths, origins, work)

    @contextlib.contextmanager
    def stream():
        loader = DataLoader(
            dataset,
            work.batch,
            sampler=RandomSampler(dataset, num_samples=len(dataset) << 20),
            num_workers=workers,
            persistent_workers=True,
            worker_init_fn=_use_one_thread,
        )
        # Its workers end with the last reference to it.
        yield iter(loader)

    return stream


def _use_one_thread(worker: int) -> None:
    cv2.setNumThreads(0)


def take_turn(stream: Stream, count: int) -> float:
    """Opens the stream, and gives the seconds of some batches once others have been taken."""
    with stream() as batches:
        for _ in range(SETTLING):
            next(batches)
        start = time.perf_counter()
        for _ in range(count):
            next(batches)
        return time.perf_counter() - start


def megabytes(whose: int) -> int:
    """Gives the largest resident set so far."""
    return round(resource.getrusage(whose).ru_maxrss / 1024)  # Linux counts in KiB.


def serve(pipe, build: Callable[..., Stream], arguments: tuple, keeps: bool) -> None:
    """Runs one side: for each number of batches it sends their seconds, at last its memory."""
    if keeps:
        from iqa_jax.host.memory import keep_freed_memory

        keep_freed_memory()
    with contextlib.redirect_stdout(sys.stderr):
        stream = build(*arguments)
    before = megabytes(resource.RUSAGE_SELF)
    while count := pipe.recv():
        pipe.send(take_turn(stream, count))
    pipe.send(
        {
            "before": before,
            "largest": megabytes(resource.RUSAGE_SELF),
            "largest_worker": megabytes(resource.RUSAGE_CHILDREN),
        }
    )


def _prepare(work: Work, manifest: str, folder: str, pipe) -> None:
    """Writes the prepared data set, and sends each photograph's tiles that are in the band."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from input_pipeline.tiles.tile_index import rows_by_image
    from iqa_jax.modes.prepare import prepare

    with contextlib.redirect_stdout(sys.stderr):
        prepare(config_of(work, manifest), folder)
        _, data = open_training(work, manifest, is_cached=False)
    index = data.index
    pipe.send(
        [
            index.layouts[index.image_id[rows[0]]].grid.origins[index.number[rows]]
            for rows in rows_by_image(index)
        ]
    )


def main() -> None:
    """Runs the rounds and prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--height", type=int, default=1536)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--tiles", type=int, default=8, help="of an image, each time")
    parser.add_argument("--batch", type=int, default=8, help="images in a batch")
    parser.add_argument("--batches", type=int, default=16, help="in a turn")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()

    machine = describe_machine(("grain", "torch", "pillow", "opencv-python-headless"))
    cores = machine["cores"]
    work = Work(arguments.tiles, arguments.batch, low=9000, high=20000)
    spawn, pipes, seconds = multiprocessing.get_context("spawn"), {}, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_photos(folder, arguments.photos, arguments.height, arguments.width)
        manifest, prepared = write_manifest(folder, paths), str(folder / "prepared")
        pipe, end = spawn.Pipe()
        spawn.Process(target=_prepare, args=(work, manifest, prepared, end)).start()
        end.close()
        origins = pipe.recv()
        sides = {
            "same_work": (build_iqa_jax, (work, manifest, False), False),
            "cached": (build_iqa_jax, (work, manifest, True), False),
            "prepared": (build_iqa_jax, (work, prepared, False), False),
            "pytorch": (build_pytorch, (work, paths, origins, cores), False),
            "pytorch_more_workers": (build_pytorch, (work, paths, origins, 2 * cores), False),
            "pytorch_kept_memory": (build_pytorch, (work, paths, origins, cores), True),
        }
        for side, what in sides.items():
            pipes[side], end = spawn.Pipe()
            spawn.Process(target=serve, args=(end, *what)).start()
            end.close()
        for number in range(arguments.rounds + 1):
            times = {}
            for side, pipe in pipes.items():
                pipe.send(arguments.batches)
                times[side] = pipe.recv()
            seconds += [times] if number else []  # The first is for warming up.
        memory = {}
        for side, pipe in pipes.items():
            pipe.send(0)
            memory[side] = pipe.recv()
    images = arguments.batches * arguments.batch
    print(
        json.dumps(
            {
                "benchmark": "input",
                "photos": [arguments.photos, arguments.height, arguments.width],
                "work": work._asdict(),
                "batches": arguments.batches,
                "rounds": arguments.rounds,
                "images_per_second": {
                    side: round(images / statistics.median(times[side] for times in seconds), 1)
                    for side in sides
                },
                "ratio": {
                    ours: {
                        peer: round(statistics.median(t[peer] / t[ours] for t in seconds), 3)
                        for peer in PEERS
                    }
                    for ours in OURS
                },
                "megabytes": memory,
                "workers": {"pytorch": cores, "pytorch_more_workers": 2 * cores},
                **machine,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
