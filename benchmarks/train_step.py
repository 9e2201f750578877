"""Times MobileNetV2's training step and inference on CPU against PyTorch, and prints one JSON.

    python -m benchmarks.train_step

Each side lives in a process of its own and the sides take turns, so that a change in the
machine's load meets all of them. A training step is forward pass, backward pass, BatchNorm with
batch statistics and AdamW. PyTorch runs channels-last, once as it comes and once with the memory
setting that iqa_jax uses (`iqa_jax.host_memory`), which helps it too.
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

SIDES = ("iqa_jax", "pytorch", "pytorch_kept_memory")
LEARNING_RATE = 1e-4


def build_iqa_jax(images: np.ndarray, labels: np.ndarray) -> dict[str, Callable]:
    """Compiles our training step and inference; each call runs one to its end."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from iqa_jax.host_memory import keep_freed_memory

    keep_freed_memory()
    import jax
    import jax.numpy as jnp
    import optax

    from iqa_jax.models.mobilenet_v2 import MobileNetV2

    encoder, optimizer = MobileNetV2(), optax.adamw(LEARNING_RATE)
    variables = jax.jit(encoder.init)(jax.random.key(0), images[:1, :32, :32])
    params = {"encoder": variables["params"], "head": jnp.zeros((1280, 2))}
    state = [params, variables["batch_stats"], jax.jit(optimizer.init)(params)]

    def compute_loss(params, batch_stats, images, labels):
        embeddings, moved = encoder.apply(
            {"params": params["encoder"], "batch_stats": batch_stats},
            images,
            train=True,
            mutable=["batch_stats"],
        )
        logits = embeddings @ params["head"]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), moved["batch_stats"]

    def update(state, images, labels):
        params, batch_stats, slots = state
        gradient = jax.grad(compute_loss, has_aux=True)
        gradients, batch_stats = gradient(params, batch_stats, images, labels)
        updates, slots = optimizer.update(gradients, slots, params)
        return [optax.apply_updates(params, updates), batch_stats, slots]

    images, labels = jnp.asarray(images), jnp.asarray(labels)
    start = time.perf_counter()
    step = jax.jit(update, donate_argnums=0).lower(state, images, labels).compile()
    compile_seconds = time.perf_counter() - start
    encode = jax.jit(encoder.apply)

    def train():
        nonlocal state
        state = jax.block_until_ready(step(state, images, labels))

    def infer():
        encode({"params": state[0]["encoder"], "batch_stats": state[1]}, images).block_until_ready()

    return {"train": train, "inference": infer, "compile_seconds": lambda: compile_seconds}


def build_pytorch(images: np.ndarray, labels: np.ndarray) -> dict[str, Callable]:
    """Builds the peer's training step and inference."""
    import torch

    from benchmarks.torch_mobilenet_v2 import MobileNetV2

    encoder = MobileNetV2().to(memory_format=torch.channels_last)
    head = torch.nn.Linear(1280, 2)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], LEARNING_RATE)
    images = torch.tensor(images).permute(0, 3, 1, 2)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.tensor(labels, dtype=torch.long)

    def train():
        encoder.train()
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(head(encoder(images)), labels).backward()
        optimizer.step()

    def infer():
        encoder.eval()
        with torch.inference_mode():
            encoder(images)

    return {"train": train, "inference": infer}


def serve(side: str, batch: int, size: int, pipe) -> None:
    """Runs one side: for each (name, repeats) received, sends the mean seconds of a call."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, size, size, 3)).astype(np.float32)
    labels = rng.integers(2, size=batch).astype(np.int32)
    if side == "iqa_jax":
        work = build_iqa_jax(images, labels)
    else:
        if side == "pytorch_kept_memory":
            from iqa_jax.host_memory import keep_freed_memory

            keep_freed_memory()
        work = build_pytorch(images, labels)
    while (order := pipe.recv()) is not None:
        name, repeats = order
        if name == "compile_seconds":
            pipe.send(work[name]())
            continue
        start = time.perf_counter()
        for _ in range(repeats):
            work[name]()
        pipe.send((time.perf_counter() - start) / repeats)


def main() -> None:
    """Runs the rounds and prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=256, help="side of a tile in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    spawn = multiprocessing.get_context("spawn")
    pipes = {}
    for side in SIDES:
        pipes[side], end = spawn.Pipe()
        worker = (side, arguments.batch, arguments.size, end)
        spawn.Process(target=serve, args=worker, daemon=True).start()

    def ask(side, *order):
        pipes[side].send(order)
        return pipes[side].recv()

    compile_seconds = ask("iqa_jax", "compile_seconds", 1)
    results = {}
    load_before = os.getloadavg()[0]
    for name, repeats in (("train", 2), ("inference", 5)):
        for side in SIDES:
            ask(side, name, 4)
        rounds = [{s: ask(s, name, repeats) for s in SIDES} for _ in range(arguments.rounds)]
        results[name] = {
            "seconds": {s: round(statistics.median(r[s] for r in rounds), 4) for s in SIDES},
            "tiles_per_second": {
                s: round(arguments.batch / statistics.median(r[s] for r in rounds), 1)
                for s in SIDES
            },
            "ratio": {
                peer: round(statistics.median(r[peer] / r["iqa_jax"] for r in rounds), 3)
                for peer in SIDES[1:]
            },
        }
    for pipe in pipes.values():
        pipe.send(None)
    print(
        json.dumps(
            {
                "benchmark": "train_step",
                "tiles": [arguments.batch, arguments.size, arguments.size, 3],
                "rounds": arguments.rounds,
                **results,
                "compile_seconds": round(compile_seconds, 1),
                "machine": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "load_average_before": round(load_before, 2),
                "python": platform.python_version(),
                "versions": {name: version(name) for name in ("jax", "flax", "torch")},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
