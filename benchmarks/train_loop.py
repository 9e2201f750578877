"""Times the train loop, reading photographs from disk, against its bare compiled step.

    python -m benchmarks.train_loop

The loop is that of `--mode=train`, with `configs/default.py`, on JPEGs of which the benchmark
writes as many as one round trains on; its rate is what `history.jsonl` says, which leaves the first
step out. The bare side repeats the same compiled step on batches of the same data that are on the
device already, and waits for the last one. Both live in this process and take turns. `ratio` is the
loop's rate over the bare one, the median over rounds; .95 or more is what the loop should reach.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import ml_collections

from benchmarks.input import write_manifest
from benchmarks.machine import describe_machine
from benchmarks.predict import write_photos

BAR = 0.95


def measure_loop(config: ml_collections.ConfigDict, folder: Path) -> dict[str, float]:
    """Trains once, all steps of the config, and reads off how fast it was."""
    from iqa_jax.run.build import manifest_from_config
    from iqa_jax.run.workdir import Workdir
    from iqa_jax.training.data import prepare_training
    from iqa_jax.training.loop import fit

    manifest, workdir = manifest_from_config(config), Workdir(folder)
    workdir.open_for_training(config, manifest)
    fit(config, prepare_training(config, manifest, workdir), workdir)
    (row,) = workdir.history()
    return {name: row[f"train/{name}"] for name in ("tiles_per_second", "waiting_for_data")}


class BareStep:
    """The compiled step of a run, and batches of its data that wait on the device."""

    def __init__(self, config: ml_collections.ConfigDict, folder: Path, batches: int):
        import jax

        from iqa_jax.learning.sharding import PLACEMENTS
        from iqa_jax.learning.state import create_state
        from iqa_jax.run import build
        from iqa_jax.run.variables import initial_variables
        from iqa_jax.run.workdir import Workdir
        from iqa_jax.training.data import batch_settings_from_config, prepare_training
        from iqa_jax.training.loop import update_from_config

        folder.mkdir()
        manifest = build.manifest_from_config(config)
        data = prepare_training(config, manifest, Workdir(folder))
        placement = PLACEMENTS[config.host.parallel](jax.devices())
        # Those of the loop, so that both sides run one program.
        batching = batch_settings_from_config(config)
        steps = data.examples(batching) // config.batch_size
        optimizer, _ = build.optimizer_from_config(config, steps)
        self._step = update_from_config(config, placement, optimizer, steps)
        is_trainable = build.is_trainable_from_config(config)
        state = create_state(initial_variables(config), optimizer, is_trainable)
        self._state = placement.place_state(state)
        self._batches, self._tiles = [], 0
        stream = data.batches(batching)
        for _ in range(batches):
            batch = next(stream)
            self._tiles += int(batch["tile_mask"].sum())
            self._batches.append(placement.place_batch(batch))
        self._run(1)

    def _run(self, batches: int) -> None:
        import jax

        for batch in self._batches[:batches]:
            self._state, metrics = self._step(self._state, batch)
        jax.block_until_ready((self._state, metrics))

    def measure(self) -> float:
        """Takes a step with every batch and gives tiles per second."""
        start = time.perf_counter()
        self._run(len(self._batches))
        return self._tiles / (time.perf_counter() - start)


def main(argv: list[str] | None = None) -> None:
    """Runs the rounds and prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tile", type=int, default=256, help="side in pixels")
    parser.add_argument("--photo", type=int, default=1024, help="side of the JPEGs in pixels")
    parser.add_argument("--steps", type=int, default=12, help="per round and side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--encoder", default="mobilenet_v2")
    parser.add_argument("--dtype", default="float32")
    arguments = parser.parse_args(argv)

    import jax

    from configs import default
    from iqa_jax.host.machine import set_up_host

    set_up_host()
    machine = describe_machine(("jax", "flax", "grain"))
    config = default.get_config()
    config.batch_size = arguments.batch
    config.tiles.size = config.tiles.stride = arguments.tile
    config.model.encoder, config.model.dtype = arguments.encoder, arguments.dtype
    if arguments.encoder != "mobilenet_v2":
        config.model.weights = "none"
    # One epoch and nothing but steps in it.
    config.epochs, config.early_stopping.metric = 1, ""
    config.log_every_steps = config.checkpoint_every_steps = 10**9
    tiles = (arguments.photo // arguments.tile) ** 2
    # The loop's first step is not timed.
    photos = -(-(arguments.steps + 1) * arguments.batch // tiles)
    rounds = []
    # What a run says is not the JSON object.
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(sys.stderr):
        folder = Path(name)
        paths = write_photos(folder, photos, arguments.photo, arguments.photo)
        config.data.manifest = write_manifest(folder, paths)
        bare = BareStep(config, folder / "bare", arguments.steps)
        for number in range(arguments.rounds):
            loop = measure_loop(config, folder / f"loop_{number}")
            rounds.append({"bare": bare.measure(), **loop})
    print(
        json.dumps(
            {
                "benchmark": "train_loop",
                "tiles": [arguments.batch, arguments.tile, arguments.tile, 3],
                "photos": [photos, arguments.photo, arguments.photo],
                "steps": arguments.steps,
                "rounds": arguments.rounds,
                "tiles_per_second": {
                    "loop": round(statistics.median(r["tiles_per_second"] for r in rounds), 1),
                    "bare_step": round(statistics.median(r["bare"] for r in rounds), 1),
                },
                "ratio": round(
                    statistics.median(r["tiles_per_second"] / r["bare"] for r in rounds), 3
                ),
                "ratios": [round(r["tiles_per_second"] / r["bare"], 3) for r in rounds],
                "bar": BAR,
                "waiting_for_data": round(
                    statistics.median(r["waiting_for_data"] for r in rounds), 4
                ),
                "device": jax.devices()[0].device_kind,
                **machine,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
