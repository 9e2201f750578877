"""Measures the memory of `--mode=predict` on images that are large, many, or both.

    python -m benchmarks.predict_memory

Each case is a process of its own, whose largest resident set is measured: an interpreter with JAX
alone (`nothing`), one small photograph, a folder of 20-megapixel JPEGs, a list of many missing
files, and a TIFF of 30,000 × 30,000 pixels, compressed in tiles.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from benchmarks.machine import describe_machine

ROOT = Path(__file__).parents[1]


def make_photo(height: int, width: int) -> np.ndarray:
    """Repeats a photograph until it fills the size."""
    photo = skimage.data.chelsea()
    rows, columns = -(-height // photo.shape[0]), -(-width // photo.shape[1])
    return np.tile(photo, (rows, columns, 1))[:height, :width]


def write_tiff(path: Path, side: int) -> None:
    """Writes a tiled, deflated TIFF row of tiles by row, of any size."""
    import tifffile

    tile = 512
    band = make_photo(tile, -(-side // tile) * tile)
    # Compressed once, for every row of tiles is the same.
    lefts = range(0, band.shape[1], tile)
    tiles = [zlib.compress(band[:, left : left + tile].tobytes()) for left in lefts]
    tifffile.imwrite(
        path,
        (part for _ in lefts for part in tiles),
        shape=(side, side, 3),
        dtype=np.uint8,
        tile=(tile, tile),
        compression="zlib",
        photometric="rgb",
    )


def measure(*arguments: str) -> dict[str, float]:
    """Runs Python and gives its seconds and the largest resident set in MB."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return {
        "megabytes": round(usage.ru_maxrss / 1024),  # Linux counts in KiB.
        "seconds": round(time.perf_counter() - start, 1),
        "exit_status": os.waitstatus_to_exitcode(status),
    }


def prepare(folder: Path, side: int, photos: int, width: int, rows: int) -> None:
    """Makes the run, the pictures and the list."""
    from benchmarks.untrained_run import make_untrained_run

    make_untrained_run(folder / "run")
    (folder / "photos").mkdir()
    Image.fromarray(skimage.data.chelsea()).save(folder / "small.png")
    large = Image.fromarray(make_photo(width * 2 // 3, width))
    for number in range(photos):
        large.save(folder / "photos" / f"{number}.jpg", quality=92)
    with (folder / "list.csv").open("w") as file:
        file.write("path\n")
        file.writelines(f"missing/{number:010}.jpg\n" for number in range(rows))
    write_tiff(folder / "huge.tif", side)


def main() -> None:
    """Makes the pictures, runs the cases and prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=30_000, help="of the TIFF, in pixels")
    parser.add_argument("--photos", type=int, default=8, help="20-megapixel JPEGs")
    parser.add_argument("--width", type=int, default=5472, help="of those JPEGs, in pixels")
    parser.add_argument("--rows", type=int, default=100_000, help="of the list")
    arguments = parser.parse_args()

    machine, results = describe_machine(("jax", "pillow", "tifffile")), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own: what this one holds is counted for those it starts.
        sizes = (arguments.side, arguments.photos, arguments.width, arguments.rows)
        process = multiprocessing.get_context("spawn").Process(
            target=prepare, args=(folder, *sizes)
        )
        process.start()
        process.join()

        def predict(images: str) -> dict[str, float]:
            output = folder / "scores.csv"
            flags = [f"--workdir={folder / 'run'}", f"--images={folder / images}"]
            found = measure("main.py", "--mode=predict", *flags, f"--output={output}")
            with output.open() as file:
                return found | {"rows": sum(1 for _ in file) - 1}

        results["nothing"] = measure("-c", "import jax; jax.devices()")
        for case, images in (
            ("small_photo", "small.png"),
            ("folder_of_20_megapixels", "photos"),
            ("list", "list.csv"),
            ("huge_tiff", "huge.tif"),
        ):
            results[case] = predict(images)
        results["huge_tiff"]["file_megabytes"] = round((folder / "huge.tif").stat().st_size / 2**20)
    results["this_process"] = {
        "megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    }
    print(
        json.dumps(
            {
                "benchmark": "predict_memory",
                "side": arguments.side,
                "photos": arguments.photos,
                "list_rows": arguments.rows,
                **results,
                **machine,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
