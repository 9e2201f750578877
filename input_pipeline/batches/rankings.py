"""Learning from rankings: degraded versions of clean photographs, of which less is better.

A group is one photograph and one kind of distortion: its versions of all levels, the clean one
too. Only versions of one group are compared. In training a group shows the same tiles of the
photograph, cut before they are degraded; evaluation compares degraded photographs.

Source:
    Liu, van de Weijer, Bagdanov, RankIQA: Learning from Rankings for No-reference Image Quality
    Assessment, ICCV 2017.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from input_pipeline.batches.bags import BagMaker, shuffled_batches
from input_pipeline.batches.worker_batches import Batches
from input_pipeline.distortions.catalogue import DISTORTIONS, LEVELS, distort
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.table_files import ManifestError
from input_pipeline.tiles.sources import Picture, Version

GROUP_SIZE = len(LEVELS) + 1


def device_kinds(kinds: Sequence[str]) -> list[str]:
    """Names those of some kinds that the training step does itself, in the order it knows them."""
    return [kind for kind in kinds if DISTORTIONS[kind].on_device]


def ranked_batches(
    make_bag: BagMaker, photos: int, kinds: Sequence[str], *, batch_size: int, **order: Any
) -> Batches:
    """Makes the endless stream of batches of groups.

    Of each bag the loader degrades the tiles, or sends them as they are with what the training
    step has to do: `distortion` [batch] int32 (0: nothing, k: the k-th of `device_kinds`),
    `strength` [batch] float32 and `chance` [batch] uint32, the seed of its random numbers, which
    all levels of a group share.

    Args:
        make_bag: number of a photograph -> the bag of its tiles.
        photos: how many there are; an epoch shows each with each kind.
        kinds: of distortions.
        batch_size: examples per batch, over all processes; a multiple of `GROUP_SIZE`.
        **order: as in `shuffled_batches`; nothing is balanced, since every group is as frequent.

    Returns:
        An iterator over batches of the bags' values and these; `label` is that of `join_groups`,
        with one grade per level.
    """
    on_device = device_kinds(kinds)

    def make_group(example, rng):
        photo, number = divmod(int(example), len(kinds))
        kind, chance = kinds[number], rng.integers(2**32, dtype=np.uint32)
        bag = make_bag(photo, rng)
        bags = []
        for level in (0, *LEVELS):
            version = bag | {
                "label": np.int32(-level),
                "distortion": np.int32(0),
                "strength": np.float32(0),
                "chance": chance,
            }
            if level and kind in on_device:
                version["distortion"] = np.int32(1 + on_device.index(kind))
                version["strength"] = np.float32(DISTORTIONS[kind].strengths[level - 1])
            elif level:
                version["tiles"] = np.stack(
                    [
                        distort(tile, kind, level, np.random.default_rng(chance))
                        for tile in bag["tiles"]
                    ]
                )
            bags.append(version)
        return bags

    return grouped_batches(
        make_group, photos * len(kinds), GROUP_SIZE, batch_size=batch_size, **order
    )


def grouped_batches(
    make_group, groups: int, group_size: int, *, batch_size: int, **order: Any
) -> Batches:
    """Makes the endless stream of batches whose examples are compared within groups.

    Args:
        make_group: (number of a group, random numbers) -> its bags; `label` of a bag is its grade,
            int32, higher is better.
        groups: how many there are.
        group_size: bags of each.
        batch_size: examples per batch, over all processes; a multiple of `group_size`.
        **order: as in `shuffled_batches`, without `balanced`.

    Returns:
        An iterator over batches whose `label` [batch, 2] int32 is the number of the group in the
        batch of all processes, and the grade.
    """

    def join(made):
        first = order.get("process", 0) * len(made)
        bags = [
            bag | {"label": np.array([number, bag["label"]], np.int32)}
            for number, group in enumerate(made, start=first)
            for bag in group
        ]
        return {name: np.stack([bag[name] for bag in bags]) for name in bags[0]}

    return shuffled_batches(
        np.zeros(groups, np.int32),
        make_group,
        batch_size=batch_size // group_size,
        balanced=False,
        join=join,
        **order,
    )


def make_versions(
    photos: Manifest, seen: Sequence[str], unseen: Sequence[str], *, crop: int, seed: int
) -> tuple[Manifest, list[Picture]]:
    """Makes the manifest of degraded versions that an evaluation scores and compares.

    The photographs of `train` stay as they are. Of every other one there is the middle, and its
    version of each kind and level.

    Args:
        photos: the manifest of clean photographs.
        seen: kinds that are trained on; their pairs count in `pair_accuracy`.
        unseen: kinds that are not; theirs count in `unseen_pair_accuracy`.
        crop: largest side of a version in pixels.
        seed: of random numbers, which a version's levels share.

    Returns:
        The manifest with its pairs, and what each of its images is made of.

    Raises:
        ManifestError: the photographs are given as tiles already cut.
    """
    if photos.tiles is not None:
        raise ManifestError(
            photos.path, ["rankings are made of whole photographs, not of tiles already cut"]
        )
    rows, pictures, pairs = [], [], []
    for photo, row in photos.images.iterrows():
        clean = len(rows)
        rows.append(row)
        if row["split"] == "train":
            pictures.append(row["path"])
            continue
        pictures.append(Version(row["path"], "", 0, (), crop))
        for number, kind in enumerate([*seen, *unseen]):
            group = [clean]
            figure = "pair_accuracy" if kind in seen else "unseen_pair_accuracy"
            for level in LEVELS:
                group.append(len(rows))
                text = f"{kind} {level}"
                rows.append(
                    pd.Series({**row, "name": f"{row['name']} [{text}]", "label_text": text})
                )
                pictures.append(Version(row["path"], kind, level, (seed, photo, number), crop))
            pairs += [
                (better, worse, 1.0, kind, figure)
                for place, better in enumerate(group)
                for worse in group[place + 1 :]
            ]
    # As objects: paths need not be text.
    images = pd.DataFrame(rows, dtype=object).reset_index(drop=True).rename_axis("image_id")
    images = images.astype(photos.images.dtypes.to_dict())
    columns = ["first", "second", "preference", "kind", "figure"]
    table = pd.DataFrame(pairs, columns=columns)
    return dataclasses.replace(photos, images=images, pairs=table), pictures
