"""Times scoring files on CPU against PyTorch doing the same work: decode, cut, encode, pool.

    python -m benchmarks.predict

Each side lives in a process of its own and the sides take turns. Both decode the same JPEGs with
Pillow, cut them into the same tiles, run MobileNetV2 with the same ImageNet weights and give the
mean embedding of every image; how far these differ is part of the result. PyTorch runs eagerly,
channels-last, on batches filled across images as ours are; once as it comes and once with the
memory setting that iqa_jax uses (`iqa_jax.host.machine.memory`), which helps it too.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import describe_machine
from input_pipeline.tiles.tiling import Tiling, cut, grid

PEERS = ("pytorch", "pytorch_kept_memory")
TILING = Tiling(256, 256)
PEER_BATCH = 16
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def write_photos(folder: Path, count: int, height: int, width: int) -> list[str]:
    """Writes JPEGs of different crops of a photograph."""
    import skimage.data

    photo = skimage.data.chelsea()
    rows, columns = -(-height // photo.shape[0]) + 1, -(-width // photo.shape[1]) + 1
    large, paths = np.tile(photo, (rows, columns, 1)), []
    for number in range(count):
        paths.append(str(folder / f"{number}.jpg"))
        crop = large[number * 7 : number * 7 + height, number * 11 : number * 11 + width]
        Image.fromarray(crop).save(paths[-1], quality=92)
    return paths


def build_iqa_jax(paths: Sequence[str], threads: int) -> Callable[[], np.ndarray]:
    """Makes what embeds the files the way `--mode=predict` does."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from iqa_jax.host.machine import set_up_host

    set_up_host()
    from configs import default
    from input_pipeline.batches.whole_bags import whole_bags
    from input_pipeline.tiles.features import FeatureTable
    from input_pipeline.tiles.sources import TileSource
    from iqa_jax.run.variables import initial_variables
    from iqa_jax.scoring.scorer import scorer_from_config

    config = default.get_config()
    scorer, variables = scorer_from_config(config), initial_variables(config)

    def run():
        source = TileSource(paths, TILING, max_pixels=config.data.max_pixels)
        bags = whole_bags(source, range(len(paths)), FeatureTable(), threads=threads)
        return np.stack([tiles.mean(axis=0) for _, tiles in scorer.embed(variables, bags)])

    return run


def build_pytorch(paths: Sequence[str], threads: int) -> Callable[[], np.ndarray]:
    """Makes the peer: a plain loop over the files, with batches filled across them."""
    import torch

    from benchmarks.torch_mobilenet_v2 import imagenet_mobilenet_v2

    torch.set_num_threads(threads)
    encoder = imagenet_mobilenet_v2().eval().to(memory_format=torch.channels_last)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))

    def encode(tiles):
        # Seen as [n, channel, height, width], NHWC memory is channels-last already.
        images = (torch.from_numpy(tiles).permute(0, 3, 1, 2).float() / 255 - mean) / deviation
        return encoder(images).numpy()

    def run():
        counts, waiting, embeddings = [], np.zeros((0, TILING.size, TILING.size, 3), np.uint8), []
        with torch.inference_mode():
            for path in paths:
                with Image.open(path) as image:
                    pixels = np.asarray(image.convert("RGB"))
                tiles = cut(pixels, grid(*pixels.shape[:2], TILING).origins, TILING.size)
                counts.append(len(tiles))
                waiting = np.concatenate([waiting, tiles])
                while len(waiting) >= PEER_BATCH:
                    embeddings.append(encode(waiting[:PEER_BATCH]))
                    waiting = waiting[PEER_BATCH:]
            if len(waiting):
                embeddings.append(encode(waiting))
        parts = np.split(np.concatenate(embeddings), np.cumsum(counts)[:-1])
        return np.stack([part.mean(axis=0) for part in parts])

    return run


def serve(side: str, paths: Sequence[str], threads: int, pipe) -> None:
    """Runs one side: for each order it sends the seconds of a call, and what it gave."""
    if side == "pytorch_kept_memory":
        from iqa_jax.host.memory import keep_freed_memory

        keep_freed_memory()
    run = (build_iqa_jax if side == "iqa_jax" else build_pytorch)(paths, threads)
    while pipe.recv():
        start = time.perf_counter()
        answer = run()
        pipe.send((time.perf_counter() - start, answer))


def main() -> None:
    """Runs the rounds and prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--height", type=int, default=1536)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    arguments = parser.parse_args()

    sides = ("iqa_jax", *arguments.peers)
    machine = describe_machine(("jax", "pillow", *(("torch",) if arguments.peers else ())))
    spawn, pipes, seconds, answers = multiprocessing.get_context("spawn"), {}, [], {}
    tiles = arguments.photos * len(grid(arguments.height, arguments.width, TILING).origins)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_photos(Path(folder), arguments.photos, arguments.height, arguments.width)
        for side in sides:
            pipes[side], end = spawn.Pipe()
            spawn.Process(
                target=serve, args=(side, paths, machine["cores"], end), daemon=True
            ).start()
        for number in range(arguments.rounds + 1):
            times = {}
            for side in sides:
                pipes[side].send(True)
                times[side], answers[side] = pipes[side].recv()
            seconds += [times] if number else []  # The first is for warming up.
        for pipe in pipes.values():
            pipe.send(False)
    speeds = {side: tiles / statistics.median(times[side] for times in seconds) for side in sides}
    ratios = {
        peer: statistics.median(times[peer] / times["iqa_jax"] for times in seconds)
        for peer in arguments.peers
    }
    differences = {
        peer: float(f"{np.abs(answers['iqa_jax'] - answers[peer]).max():.2g}")
        for peer in arguments.peers
    }
    print(
        json.dumps(
            {
                "benchmark": "predict",
                "photos": [arguments.photos, arguments.height, arguments.width],
                "tiles": tiles,
                "rounds": arguments.rounds,
                "tiles_per_second": {side: round(speed, 1) for side, speed in speeds.items()},
                "ratio": {peer: round(ratio, 3) for peer, ratio in ratios.items()},
                "largest_difference": differences,
                **machine,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
