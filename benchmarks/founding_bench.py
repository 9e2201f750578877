"""Runs of the founding questions: a recipe, a draw of training images, and the answers, kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from benchmarks.founding_figures import Answers, scores_of
from benchmarks.founding_heads import Tiles, answer_images, load_tiles, train_head
from benchmarks.founding_rows import GRADES, Rows
from configs import gated_attention
from iqa_jax.run import build
from iqa_jax.training.targets import targets_from_config

# Every tile is an example, and images are answered from their tiles' scores.
BY_TILE = {"bags.tiles": 1, "batch_size": 128, "evaluation.fusion": "mean_score"}


def recipe(kind: str, changes: Mapping[str, Any], seed: int = 0) -> ml_collections.ConfigDict:
    """Gives the recipe: a head on the tiles of a frozen encoder, its last state answers.

    Args:
        kind: of the labels: binary (outer thirds), ordered (thirds) or numeric (scores).
        changes: to the recipe.
        seed: of the run.
    """
    config = gated_attention.get_config()
    config.seed = seed
    config.model.pooling = "mean"
    config.model.fusion = config.evaluation.fusion = "mean_embedding"
    config.bags.tiles = 4
    config.data.label_kind = kind
    if kind == "ordered":
        config.data.classes = GRADES
    if kind == "numeric":
        config.data.label_column, config.data.maximum = "mos", 1.0
    config.balanced_sampling = kind != "numeric"
    config.early_stopping.metric = ""
    config.update_from_flattened_dict(changes)
    return config


class Bench:
    """The photographs, their embeddings, and the runs on them that are finished.

    Args:
        rows: the photographs.
        output: where answers are kept.
        changes: to every recipe.
        updates: size -> of a run on so many images.
    """

    def __init__(
        self, rows: Rows, output: Path, changes: Mapping[str, Any], updates: Mapping[int, int]
    ):
        self.rows, self.output, self.changes, self.updates = rows, output, changes, updates
        self.manifest = rows.write(output / "manifest.csv", rows.table)
        # What trains may be a part alone, but all images must be known by their places.
        config = self.config("numeric", {})
        self.tiles: Tiles = load_tiles(config, build.manifest_from_config(config))
        self.ids = {name: rows.split(name).index.to_numpy() for name in ("val", "test")}

    def config(self, kind: str, changes: Mapping[str, Any], seed: int = 0):
        """Gives the recipe on these photographs."""
        config = recipe(kind, {**self.changes, **changes}, seed)
        config.data.manifest = str(self.manifest)
        return config

    def draw(self, size: int, seed: int) -> np.ndarray:
        """Draws the images of `train` that train, by their places."""
        drawn = self.rows.draw(size, seed)
        return drawn.index[drawn["split"] == "train"].to_numpy()

    def train(
        self,
        kind: str,
        changes: Mapping[str, Any],
        size: int,
        seed: int,
        *,
        train: np.ndarray | None = None,
        flipped: np.ndarray | None = None,
        is_kept: np.ndarray | None = None,
    ) -> tuple[ml_collections.ConfigDict, Any]:
        """Trains a head; gives its config and variables.

        Args:
            kind, changes: of the recipe.
            size, seed: of the draw.
            train: train on these images instead of the draw, as long.
            flipped: images whose binary label is the other one.
            is_kept: as `train_head`.
        """
        config = self.config(kind, changes, seed)
        manifest = build.manifest_from_config(config)
        labels = manifest.images["label"].to_numpy().copy()
        targets = np.array(targets_from_config(config, manifest)["label"])
        if flipped is not None:
            labels[flipped] = targets[flipped] = 1 - labels[flipped]
        train = self.draw(size, seed) if train is None else train
        steps = self.updates[size]
        return config, train_head(
            config, self.tiles, labels, targets, train, steps=steps, is_kept=is_kept
        )

    def run(
        self,
        name: str,
        kind: str,
        changes: Mapping[str, Any],
        size: int,
        seed: int,
        *,
        asked: Mapping[str, np.ndarray] | None = None,
        **training: Any,
    ) -> dict[str, np.ndarray]:
        """Trains a head and answers, unless that is done.

        Args:
            name: of the run, unlike all others of the same size and seed.
            kind, changes, size, seed, **training: as in `train`.
            asked: name -> images that are answered; by default val and test.

        Returns:
            "<asked> <fusion>" -> [image, values], and "<asked> tiles" and "<asked> embedding".
        """
        path = self.output / "answers" / f"{name}, {size}, {seed}.npz"
        if path.exists():
            return dict(np.load(path))
        config, variables = self.train(kind, changes, size, seed, **training)
        found = {}
        for part, ids in (asked or self.ids).items():
            answers = answer_images(config, variables, self.tiles, ids)
            found |= {f"{part} {fusion}": values for fusion, values in answers.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **found)
        part.rename(path)
        print(f"{name}, {size} images, draw {seed}: done", flush=True)
        return found


def answers_of(kind: str, found: Mapping[str, np.ndarray], fusion: str) -> Answers:
    """Reads the scores of one fusion off what a run says."""
    return Answers(*(scores_of(kind, found[f"{part} {fusion}"]) for part in ("val", "test")))
