"""ImageNet weights of the encoder: conversion from torchvision, and checked loading.

    python -m iqa_jax.models.pretrained --source=mobilenet_v2-b0353104.pth \\
        --output=weights/mobilenet_v2_imagenet.safetensors

converts torchvision's file (this alone needs PyTorch) and prints the hash to put in `WEIGHTS`.
"""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from iqa_jax.models.encoders.mobilenet_v2 import STAGES

WEIGHTS_FOLDER = Path(__file__).resolve().parents[3] / "weights"
# width multiplier -> file, sha256 of the file
WEIGHTS = {
    1.0: (
        "mobilenet_v2_imagenet.safetensors",
        "d44147620d105838b8ba3d45078f133b53c037db9d653e1e11a0a2a4dc8a103f",
    ),
}


class PretrainedError(ValueError):
    """Says why pretrained weights cannot be had and what to do."""


def load_pretrained(
    width_multiplier: float = 1.0, folder: Path = WEIGHTS_FOLDER
) -> dict[str, dict[str, Any]]:
    """Reads the ImageNet weights of `MobileNetV2`.

    Args:
        width_multiplier: of the encoder.
        folder: where the files of `WEIGHTS` lie.

    Returns:
        `{"params": ..., "batch_stats": ...}`, trees of float32 NumPy arrays in the shape that
        `MobileNetV2.init` gives.

    Raises:
        PretrainedError: no weights of that width, or the file is not the one it should be.
        FileNotFoundError: the file is missing.
    """
    if width_multiplier not in WEIGHTS:
        widths = ", ".join(str(width) for width in sorted(WEIGHTS))
        raise PretrainedError(
            f"There are no pretrained weights for width_multiplier {width_multiplier}, only for "
            f"{widths}: use that width, or train from scratch."
        )
    name, sha256 = WEIGHTS[width_multiplier]
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"The pretrained weights {path} are missing: restore the file from the repository, "
            "or train from scratch."
        )
    content = path.read_bytes()
    if content.startswith(b"version https://git-lfs"):
        raise PretrainedError(
            f"{path} is only a Git LFS pointer: run `git lfs pull` to fetch the file."
        )
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PretrainedError(
            f"The pretrained weights {path} ({len(content)} bytes) are damaged or were changed: "
            f"their sha256 is not {sha256[:16]}... Restore the file from the repository."
        )
    flat = safetensors.numpy.load(content)
    return unflatten_dict({tuple(key.split("/")): value for key, value in flat.items()})


def torchvision_prefixes() -> list[tuple[str, str]]:
    """Lists torchvision's names of each layer's convolution and BatchNorm, in forward order."""
    prefixes = [("features.0.0", "features.0.1")]
    block = 1
    for expansion, _, repeats, _ in STAGES:
        for _ in range(repeats):
            convolution = f"features.{block}.conv"
            steps = range(2 if expansion > 1 else 1)
            prefixes += [(f"{convolution}.{i}.0", f"{convolution}.{i}.1") for i in steps]
            prefixes.append((f"{convolution}.{len(steps)}", f"{convolution}.{len(steps) + 1}"))
            block += 1
    return [*prefixes, (f"features.{block}.0", f"features.{block}.1")]


def convert(state: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Renames and transposes torchvision's MobileNetV2 features to our variables.

    Args:
        state: torchvision's state dict as NumPy arrays; its classifier is left behind.

    Returns:
        Variables as `load_pretrained` gives them.
    """
    flat = {}
    for index, (convolution, norm) in enumerate(torchvision_prefixes()):
        layer = f"layer_{index:02d}"
        # PyTorch keeps [out, in, height, width].
        flat["params", layer, "kernel"] = state[f"{convolution}.weight"].transpose(2, 3, 1, 0)
        flat["params", layer, "scale"] = state[f"{norm}.weight"]
        flat["params", layer, "bias"] = state[f"{norm}.bias"]
        flat["batch_stats", layer, "mean"] = state[f"{norm}.running_mean"]
        flat["batch_stats", layer, "var"] = state[f"{norm}.running_var"]
    contiguous = {key: np.ascontiguousarray(value, np.float32) for key, value in flat.items()}
    return unflatten_dict(contiguous)


def main() -> None:
    """Converts torchvision's file given on the command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--source", type=Path, required=True, help="torchvision's .pth file")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    arguments = parser.parse_args()

    import torch  # pyright: ignore[reportMissingImports] (for this conversion only)

    state = torch.load(arguments.source, map_location="cpu", weights_only=True)
    variables = convert({name: tensor.numpy() for name, tensor in state.items()})
    flat = flatten_dict(variables, sep="/")
    content = safetensors.numpy.save({name: np.asarray(leaf) for name, leaf in flat.items()})
    arguments.output.write_bytes(content)
    print(f"{arguments.output}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
