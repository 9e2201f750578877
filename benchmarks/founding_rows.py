"""The photographs of the founding questions: which train, choose and are tested, and draws of them.

The manifest has a split `train` and a split `test`. Photographs that look alike are one group, with
what a column `scene` says besides, where there is one. Tested are the images of `test` of whose
group none is in `train`; some groups of `train` are kept for choices. Thirds of the scores of the
other training images make grades: bad, marginal and good.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from input_pipeline.checks.kept_signatures import KeptSignatures
from input_pipeline.checks.look_alikes import cluster
from input_pipeline.files.images import read_header
from input_pipeline.tables.groups import join_groups
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import Manifest, read_manifest
from input_pipeline.tables.splits import assign_splits
from input_pipeline.tables.table_files import read_table
from iqa_jax.host.progress import meter

GRADES = ("bad", "marginal", "good")
MAX_PIXELS = 250_000_000


@dataclasses.dataclass(frozen=True)
class Rows:
    """The photographs, and where the grades of their scores begin.

    Attributes:
        table: `path` (absolute), `mos`, `group`, `subset` (empty where the manifest has none) and
            `split`: train, val or test.
        cuts: the thirds of the scores of `train`.
    """

    table: pd.DataFrame
    cuts: tuple[float, float]

    def split(self, name: str) -> pd.DataFrame:
        """Gives the rows of one split."""
        return self.table[self.table["split"] == name]

    def grades(self, scores: Float[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
        """Gives the grade of opinion scores: 0 bad, 1 marginal, 2 good."""
        return np.digitize(scores, self.cuts)

    def draw(self, size: int, seed: int) -> pd.DataFrame:
        """Draws so many images of `train`, or takes all, and adds those of the other splits."""
        train = self.split("train")
        chosen = train.sample(min(size, len(train)), random_state=seed)
        return self.table.drop(train.index.difference(chosen.index))

    def list_draw(self, path: Path, size: int, seed: int) -> Path:
        """Writes which image of the written manifest is where, as `data.split_rows` reads it."""
        drawn = self.draw(size, seed)
        split = self.table["split"].where(self.table.index.isin(drawn.index), "unused")
        pd.DataFrame({"name": self.table["path"], "split": split}).to_csv(path, index=False)
        return path

    def write(self, path: Path, table: pd.DataFrame) -> Path:
        """Writes rows as a manifest with the columns `label`, the grade, and `mos`."""
        label = np.array(GRADES)[self.grades(table["mos"].to_numpy())]
        path.parent.mkdir(parents=True, exist_ok=True)
        table.assign(label=label).to_csv(path, index=False)
        return path


def read_rows(path: Path, signature_folder: str, val_images: int = 600) -> Rows:
    """Reads the manifest of opinion scores on [0, 1], a column `mos`, and sorts its images.

    Those of another size than most are left out, so that all are cut alike.

    Args:
        path: of the manifest.
        signature_folder: where what pictures look like is kept, as `host.signature_folder`.
        val_images: about so many of the training images choose and train nothing.
    """
    manifest = read_manifest(path, LabelSpec("numeric", "mos", minimum=0.0, maximum=1.0))
    given = read_table(path)
    sides = [read_header(one, max_pixels=MAX_PIXELS)[:2] for one in manifest.images["path"]]
    usual = max(set(sides), key=sides.count)
    is_usual = np.array([one == usual for one in sides])
    if "scene" in given:
        images = manifest.images.assign(group=given["scene"].to_numpy())
        manifest = dataclasses.replace(manifest, images=images)
    signatures = sign(manifest, signature_folder)
    images = join_groups(manifest, cluster(signatures), fractions={}, seed=0).images
    table = pd.DataFrame(
        {
            "path": images["path"],
            "mos": images["label"].astype(np.float64).round(6),
            "group": images["group"],
            "subset": given["subset"].to_numpy() if "subset" in given else "",
            "split": images["split"],
        }
    )
    train = table[table["split"] == "train"]
    is_seen = table["group"].isin(train["group"]) & (table["split"] == "test")
    share = val_images / len(train)
    table.loc[train.index, "split"] = assign_splits(
        train["mos"].to_numpy(), train["group"].to_numpy(), {"train": 1 - share, "val": share}, 0
    )
    table = table[~is_seen & is_usual].reset_index(drop=True)
    low, high = table.loc[table["split"] == "train", "mos"].quantile([1 / 3, 2 / 3])
    return Rows(table, (float(low), float(high)))


def sign(manifest: Manifest, folder: str) -> np.ndarray:
    """Gives the signatures of a manifest's pictures, which are kept in a folder."""
    kept = KeptSignatures(manifest, os.path.expanduser(folder), MAX_PIXELS)
    if kept.missing:
        with meter("signatures of", len(kept.missing)) as progress:
            kept.make(os.cpu_count() or 1, progress.update)
    return kept.signatures
