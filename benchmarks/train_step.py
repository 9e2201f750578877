"""Times MobileNetV2's training step and inference on CPU against PyTorch, and prints one JSON.

    python -m benchmarks.train_step

PyTorch runs channels-last, once as it comes and once with the memory setting that iqa_jax uses
(`iqa_jax.host.machine.memory`), which helps it too.
"""

import argparse
import json

from benchmarks.machine import describe_machine
from benchmarks.mobilenet_sides import Work, compare_sides

PEERS = ("pytorch", "pytorch_kept_memory")


def main() -> None:
    """Runs the rounds and prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=256, help="side of a tile in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    arguments = parser.parse_args()
    machine = describe_machine(("jax", "flax", *(("torch",) if arguments.peers else ())))
    work = Work(arguments.batch, arguments.size)
    result = compare_sides(work, arguments.peers, {"train": 2, "inference": 5}, arguments.rounds)
    print(
        json.dumps(
            {
                "benchmark": "train_step",
                "tiles": [work.batch, work.size, work.size, 3],
                "rounds": arguments.rounds,
                **result,
                **machine,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
