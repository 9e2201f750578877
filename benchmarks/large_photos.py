"""Times how large JPEGs are brought down to `tiles.reference_side`, and takes the memory of it.

    python -m benchmarks.large_photos

Sides, each in a process of its own, that take turns:

    reduced     what predict does: decoded at a half, a quarter or an eighth, then areas averaged
    whole       decoded at full size, then areas averaged down to the same sides

`ratio` is the median over rounds of the seconds of `whole` over those of `reduced`.
`cpu_seconds` are the processor's: on a busy machine, nearer to the seconds of an idle one.
`megabytes` is the largest resident set less that before the first photograph; the file, and for
`whole` its pixels, are in it. `mean_difference` is between the results, in grey levels, and
`sharpness` the standard deviation of the Laplacian of `reduced` over that of `whole`.
"""

import argparse
import json
import multiprocessing
import re
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

from benchmarks.machine import describe_machine
from input_pipeline.files.images import load
from input_pipeline.files.reduction import Reduction

SIDES = ("reduced", "whole")


def write_photo(path: Path, height: int) -> None:
    """Writes a photograph of 4:3, enlarged and with the grain of a sensor."""
    photo, rng = skimage.data.astronaut()[:384], np.random.default_rng(0)
    large = cv2.resize(photo, (height * 4 // 3, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 6, large.shape[:2]).astype(np.int16)
    for band in range(0, height, 500):  # Whole, the sums would take gigabytes.
        rows = slice(band, band + 500)
        noisy = large[rows] + grain[rows, :, None]
        large[rows] = np.clip(noisy, 0, 255)
    Image.fromarray(large).save(path, quality=92)


def read(side: str, path: Path, reference_side: int) -> np.ndarray:
    """Reads a photograph the way of a side."""
    reduction = Reduction(reference_side=reference_side)
    if side == "reduced":
        return load(path, reduction=reduction)
    return reduction.apply(load(path))


def megabytes() -> float:
    """Gives the largest resident set so far, without that of the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def sharpness(pixels: np.ndarray) -> float:
    """Gives the standard deviation of the Laplacian of the green channel."""
    return float(cv2.Laplacian(pixels[..., 1], cv2.CV_32F).std())


def serve(pipe, side: str, path: Path, reference_side: int) -> None:
    """Reads the photograph as often as asked, sending (seconds, of the processor); then memory."""
    before = megabytes()
    while pipe.recv():
        start, cpu_start = time.perf_counter(), time.process_time()
        read(side, path, reference_side)
        pipe.send((time.perf_counter() - start, time.process_time() - cpu_start))
    pipe.send(megabytes() - before)


def measure(path: Path, reference_side: int, rounds: int) -> dict:
    """Lets the sides take turns at one photograph."""
    spawn, pipes = multiprocessing.get_context("spawn"), {}
    for side in SIDES:
        pipes[side], end = spawn.Pipe()
        spawn.Process(target=serve, args=(end, side, path, reference_side)).start()
        end.close()
    turns = []
    for number in range(rounds + 1):
        turn = {}
        for side, pipe in pipes.items():
            pipe.send(True)
            turn[side] = pipe.recv()
        turns += [turn] if number else []  # The first is for warming up.
    memory = {}
    for side, pipe in pipes.items():
        pipe.send(False)
        memory[side] = round(pipe.recv())

    def median(which: int) -> dict[str, float]:
        return {side: round(statistics.median(t[side][which] for t in turns), 4) for side in SIDES}

    return {
        "seconds": median(0),
        "cpu_seconds": median(1),
        "ratio": round(statistics.median(t["whole"][0] / t["reduced"][0] for t in turns), 2),
        "megabytes": memory,
    }


def main() -> None:
    """Writes the photographs, runs the rounds and prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heights", type=int, nargs="+", default=[3000, 6000], help="of 4:3")
    parser.add_argument("--reference_sides", type=int, nargs="+", default=[512, 768])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    packages = ("simplejpeg", "opencv-python-headless", "pillow")
    machine, results = describe_machine(packages), []
    with tempfile.TemporaryDirectory() as name:
        for height in arguments.heights:
            path = Path(name) / f"{height}.jpg"
            write_photo(path, height)
            for reference_side in arguments.reference_sides:
                found = measure(path, reference_side, arguments.rounds)
                reduced, whole = (read(side, path, reference_side) for side in SIDES)
                difference = np.abs(reduced.astype(int) - whole).mean()
                about = {
                    "photo": [height, height * 4 // 3],
                    "reference_side": reference_side,
                    "file_megabytes": round(path.stat().st_size / 2**20, 1),
                    "mean_difference": round(float(difference), 3),
                    "sharpness": round(sharpness(reduced) / sharpness(whole), 3),
                }
                results.append(about | found)
    print(
        json.dumps(
            {
                "benchmark": "large_photos",
                "rounds": arguments.rounds,
                "photos": results,
                **machine,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
