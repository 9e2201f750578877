"""Times MobileNetV2 on a GPU in bfloat16 against PyTorch, and prints a table and one JSON object.

    python -m benchmarks.gpu

PyTorch runs channels-last under autocast, eagerly and compiled. The roofline is that of
`benchmarks.roofline` with what this device reaches in the same run: a large matrix product, and a
large copy. `--platform=cpu --batch=2 --size=64 --rounds=1` tries the script out.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time

from benchmarks.machine import describe_machine
from benchmarks.mobilenet_sides import Work, compare_sides
from benchmarks.roofline import least_seconds

PEERS = ("pytorch", "pytorch_compiled")


def measure_device(platform_name: str, side: int, pipe) -> None:
    """Sends the device's name, the operations and the bytes per second that it reaches."""
    os.environ["JAX_PLATFORMS"] = platform_name
    import jax
    import jax.numpy as jnp

    def seconds(function, *arguments):
        function(*arguments).block_until_ready()
        times = []
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(5):
                result = function(*arguments)
            result.block_until_ready()
            times.append((time.perf_counter() - start) / 5)
        return min(times)

    matrix = jnp.ones((side, side), jnp.bfloat16)
    flops = 2 * side**3 / seconds(jax.jit(lambda a: a @ a), matrix)
    long = jnp.ones((side * side * 8,), jnp.bfloat16)
    bandwidth = 2 * long.nbytes / seconds(jax.jit(lambda a: a * 2), long)
    pipe.send((jax.devices()[0].device_kind, flops, bandwidth))


def main() -> None:
    """Runs the rounds, and prints the table to the error stream and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--platform", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=256, help="side of a tile in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    arguments = parser.parse_args()
    work = Work(arguments.batch, arguments.size, arguments.platform, "bfloat16")
    machine = describe_machine(("jax", "flax", *(("torch",) if arguments.peers else ())))

    spawn = multiprocessing.get_context("spawn")
    pipe, end = spawn.Pipe()
    side = 8192 if arguments.platform == "cuda" else 512
    probe = spawn.Process(target=measure_device, args=(work.platform, side, end))
    probe.start()
    device, flops, bandwidth = pipe.recv()
    probe.join()  # It gives the device's memory back.

    result = compare_sides(work, arguments.peers, {"train": 10, "inference": 20}, arguments.rounds)
    for name in ("train", "inference"):
        least = least_seconds(
            work.size, work.batch, is_training=name == "train", element_bytes=2,
            flops=flops, bandwidth=bandwidth,
        )  # fmt: skip
        result[name]["roofline"] = {
            who: round(least / seconds, 3) for who, seconds in result[name]["seconds"].items()
        }
        for who, rate in result[name]["tiles_per_second"].items():
            share = result[name]["roofline"][who]
            print(f"{name:10} {who:18} {rate:10.1f} tiles/s  {share:6.1%} of the roofline",
                  file=sys.stderr)  # fmt: skip
    print(
        json.dumps(
            {
                "benchmark": "gpu",
                "device": device,
                "work": work._asdict(),
                "rounds": arguments.rounds,
                "reached": {
                    "tera_operations_per_second": round(flops / 1e12, 2),
                    "gigabytes_per_second": round(bandwidth / 1e9, 1),
                },
                **result,
                **machine,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
