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
from scipy.stats import pearsonr, spearmanr
from torch import nn

from benchmarks.folds import summarise
from benchmarks.torch_mobilenet_v2 import imagenet_mobilenet_v2
from configs import mos
from iqa_jax.host.progress import note
from iqa_jax.models.quality_model import MEAN, STANDARD_DEVIATION
from iqa_jax.run import build

CROP, BATCH, EPOCHS, LEARNING_RATE = 288, 16, 10, 1e-4


class Regressor(nn.Module):
    """Encoder, mean and deviation of its last map, one linear layer."""

    def __init__(self):
        super().__init__()
        self.encoder = imagenet_mobilenet_v2()
        self.head = nn.Linear(2 * 1280, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores [n, 3, height, width]."""
        maps = self.encoder.features(images).flatten(2)
        return self.head(torch.cat([maps.mean(2), maps.std(2)], dim=1))[:, 0]


def read(path: str) -> torch.Tensor:
    """Reads an image as [3, height, width], normalised."""
    image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB) / 255
    return torch.tensor((image - MEAN) / STANDARD_DEVIATION, dtype=torch.float32).permute(2, 0, 1)


def run_split(manifest: Path, seed: int) -> dict[str, float]:
    """Trains on one split and gives its SRCC and PLCC."""
    config = mos.get_config()
    config.data.manifest, config.data.fractions, config.seed = str(manifest), (0.8, 0.0, 0.2), seed
    images = build.manifest_from_config(config)
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

    for epoch in range(EPOCHS):
        model.train()
        order = rng.permutation(len(pixels))
        for rows in np.split(order, range(BATCH, len(order), BATCH)):
            answers = model(torch.stack([crop(pixels[row]) for row in rows]))
            loss = nn.functional.smooth_l1_loss(answers, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        note(f"split {seed}, epoch {epoch + 1}/{EPOCHS}: loss {loss.item():.4f}")
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
    arguments = parser.parse_args()
    found = []
    for seed in range(arguments.splits):
        found.append(run_split(arguments.manifest.resolve(), seed))
        note(f"split {seed}: {found[-1]}")
    result = {"splits": arguments.splits, "each": found}
    result |= {name: summarise([one[name] for one in found]) for name in ("srcc", "plcc")}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
