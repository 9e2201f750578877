"""The peer of `configs/mos_finetune.py`: a plain fine-tune in PyTorch; prints one JSON object.

    python -m benchmarks.torch_finetune --manifest=live/manifest.csv [--splits=10]

The same ImageNet weights and the same random splits as `benchmarks.finetune_splits`: split k trains
on 80 % of the images and tests on the others. What a practitioner writes first: all layers, ten
epochs of random crops, mean and deviation of the last map into one linear layer, smooth-L1, Adam;
tested on whole images. Nothing was tuned, and no image chooses an epoch.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from flax.traverse_util import flatten_dict
from scipy.stats import pearsonr, spearmanr
from torch import nn

from benchmarks.folds import summarise
from benchmarks.torch_mobilenet_v2 import MobileNetV2
from configs import mos
from iqa_jax import setup
from iqa_jax.models.pretrained import load_pretrained, torchvision_prefixes
from iqa_jax.models.quality_model import MEAN, STANDARD_DEVIATION
from iqa_jax.progress import note

CROP, BATCH, EPOCHS, LEARNING_RATE = 288, 16, 10, 1e-4


class Regressor(nn.Module):
    """Encoder, mean and deviation of its last map, one linear layer."""

    def __init__(self):
        super().__init__()
        self.encoder = MobileNetV2()
        self.encoder.load_state_dict(imagenet_state(), strict=False)
        self.head = nn.Linear(2 * 1280, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores [n, 3, height, width]."""
        maps = self.encoder.features(images).flatten(2)
        return self.head(torch.cat([maps.mean(2), maps.std(2)], dim=1))[:, 0]


def imagenet_state() -> dict[str, torch.Tensor]:
    """Gives our ImageNet weights under torchvision's names."""
    flat, state = flatten_dict(load_pretrained()), {}
    for index, (convolution, norm) in enumerate(torchvision_prefixes()):
        layer = f"layer_{index:02d}"
        state[f"{convolution}.weight"] = flat["params", layer, "kernel"].transpose(3, 2, 0, 1)
        state[f"{norm}.weight"] = flat["params", layer, "scale"]
        state[f"{norm}.bias"] = flat["params", layer, "bias"]
        state[f"{norm}.running_mean"] = flat["batch_stats", layer, "mean"]
        state[f"{norm}.running_var"] = flat["batch_stats", layer, "var"]
    return {name: torch.tensor(value) for name, value in state.items()}


def read(path: str) -> torch.Tensor:
    """Reads an image as [3, height, width], normalised."""
    image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB) / 255
    return torch.tensor((image - MEAN) / STANDARD_DEVIATION, dtype=torch.float32).permute(2, 0, 1)


def run_split(manifest: Path, seed: int, epochs: int) -> dict[str, float]:
    """Trains on one split and gives its SRCC and PLCC."""
    config = mos.get_config()
    config.data.manifest, config.data.fractions, config.seed = str(manifest), (0.8, 0.0, 0.2), seed
    images = setup.manifest_from_config(config)
    train, test = images.split("train"), images.split("test")
    pixels = [read(path) for path in train["path"]]
    mean, deviation = train["label"].mean(), train["label"].std()
    labels = torch.tensor(((train["label"] - mean) / deviation).to_numpy(), dtype=torch.float32)
    torch.manual_seed(seed)
    rng, model = np.random.default_rng(seed), Regressor()
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)

    def crop(image: torch.Tensor) -> torch.Tensor:
        top, left = (rng.integers(side - CROP + 1) for side in image.shape[1:])
        image = image[:, top : top + CROP, left : left + CROP]
        return image.flip(2) if rng.random() < 0.5 else image

    for epoch in range(epochs):
        model.train()
        order = rng.permutation(len(pixels))
        for rows in np.split(order, range(BATCH, len(order), BATCH)):
            answers = model(torch.stack([crop(pixels[row]) for row in rows]))
            loss = nn.functional.smooth_l1_loss(answers, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        note(f"split {seed}, epoch {epoch + 1}/{epochs}: loss {loss.item():.4f}")
    model.eval()
    with torch.no_grad():
        answers = [model(read(path)[None]).item() for path in test["path"]]
    return {
        "srcc": float(spearmanr(answers, test["label"]).statistic),
        "plcc": float(pearsonr(answers, test["label"]).statistic),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    found = []
    for seed in range(arguments.splits):
        found.append(run_split(arguments.manifest.resolve(), seed, arguments.epochs))
        note(f"split {seed}: {found[-1]}")
    result = {"splits": arguments.splits, "each": found}
    result |= {name: summarise([one[name] for one in found]) for name in ("srcc", "plcc")}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
