"""MobileNetV2's training step and inference on either side, each in a process of its own.

A training step is forward pass, backward pass, BatchNorm with batch statistics and AdamW. The
sides take turns, so that a change in the machine's load meets all of them.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

LEARNING_RATE = 1e-4
PEERS = ("pytorch", "pytorch_kept_memory", "pytorch_compiled")


class Work(NamedTuple):
    """What every side does.

    Attributes:
        batch: tiles at once.
        size: side of a tile in pixels.
        platform: cpu | cuda.
        dtype: float32 | bfloat16 (PyTorch: autocast).
    """

    batch: int
    size: int
    platform: str = "cpu"
    dtype: str = "float32"


def build_iqa_jax(work: Work, images: np.ndarray, labels: np.ndarray) -> dict[str, Callable]:
    """Compiles our training step and inference; each call runs one to its end."""
    os.environ["JAX_PLATFORMS"] = work.platform
    if work.platform == "cpu":
        from iqa_jax.host.memory import keep_freed_memory

        keep_freed_memory()
    import jax
    import jax.numpy as jnp
    import optax

    from configs import default
    from iqa_jax.run.build import encoder_from_config

    config = default.get_config()
    config.model.dtype = work.dtype
    encoder, optimizer = encoder_from_config(config), optax.adamw(LEARNING_RATE)
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
        logits = embeddings.astype(jnp.float32) @ params["head"]
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


def build_pytorch(
    work: Work, images: np.ndarray, labels: np.ndarray, is_compiled: bool = False
) -> dict[str, Callable]:
    """Builds the peer's training step and inference, channels-last."""
    import torch

    from benchmarks.torch_mobilenet_v2 import MobileNetV2

    if work.platform == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
    encoder = MobileNetV2().to(work.platform, memory_format=torch.channels_last)
    head = torch.nn.Linear(1280, 2).to(work.platform)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], LEARNING_RATE)
    images = torch.tensor(images).permute(0, 3, 1, 2).to(work.platform)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.tensor(labels, dtype=torch.long).to(work.platform)
    encode = torch.compile(encoder) if is_compiled else encoder
    autocast = torch.autocast(work.platform, torch.bfloat16, enabled=work.dtype == "bfloat16")

    def wait():
        if work.platform == "cuda":
            torch.cuda.synchronize()

    def train():
        encoder.train()
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = torch.nn.functional.cross_entropy(head(encode(images)), labels)
        loss.backward()
        optimizer.step()
        wait()

    def infer():
        encoder.eval()
        with torch.inference_mode(), autocast:
            encode(images)
        wait()

    return {"train": train, "inference": infer}


def _serve(side: str, work: Work, pipe) -> None:
    """Runs one side: for each (name, repeats) received, sends the mean seconds of a call."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(work.batch, work.size, work.size, 3)).astype(np.float32)
    labels = rng.integers(2, size=work.batch).astype(np.int32)
    if side == "iqa_jax":
        calls = build_iqa_jax(work, images, labels)
    else:
        if side == "pytorch_kept_memory":
            from iqa_jax.host.memory import keep_freed_memory

            keep_freed_memory()
        calls = build_pytorch(work, images, labels, is_compiled=side == "pytorch_compiled")
    while (order := pipe.recv()) is not None:
        name, repeats = order
        if name == "compile_seconds":
            pipe.send(calls[name]())
            continue
        start = time.perf_counter()
        for _ in range(repeats):
            calls[name]()
        pipe.send((time.perf_counter() - start) / repeats)


def compare_sides(
    work: Work, peers: Sequence[str], repeats: Mapping[str, int], rounds: int
) -> dict[str, Any]:
    """Lets all sides take turns.

    Args:
        work: to do.
        peers: of `PEERS`, beside iqa_jax.
        repeats: "train" and "inference" -> calls per turn.
        rounds: of turns.

    Returns:
        For each of both: `seconds` of a call (the median over rounds) and `tiles_per_second`, side
        by side, and for each peer the `ratio` of its time to ours; and `compile_seconds` of our
        step.
    """
    sides, pipes = ("iqa_jax", *peers), {}
    spawn = multiprocessing.get_context("spawn")
    for side in sides:
        pipes[side], end = spawn.Pipe()
        spawn.Process(target=_serve, args=(side, work, end), daemon=True).start()
        end.close()

    def ask(side, *order):
        pipes[side].send(order)
        return pipes[side].recv()

    result: dict[str, Any] = {"compile_seconds": round(ask("iqa_jax", "compile_seconds", 1), 1)}
    for name, count in repeats.items():
        for side in sides:
            ask(side, name, 4)
        turns = [{side: ask(side, name, count) for side in sides} for _ in range(rounds)]
        seconds = {side: statistics.median(turn[side] for turn in turns) for side in sides}
        result[name] = {
            "seconds": {side: round(value, 5) for side, value in seconds.items()},
            "tiles_per_second": {
                side: round(work.batch / value, 1) for side, value in seconds.items()
            },
            "ratio": {
                peer: round(statistics.median(turn[peer] / turn["iqa_jax"] for turn in turns), 3)
                for peer in peers
            },
        }
    for pipe in pipes.values():
        pipe.send(None)
    return result
