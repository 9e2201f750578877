"""Writes the data sets that `prepared` reads, shard by shard, each whole or not at all.

TFDS's own writers shuffle a split as a whole, and begin again after a kill. A shard here depends on
its own images only, so any machine that sees the folder can make any shard, in any order, twice
if need be; one that is there is not made again. Until the data set is finished its folder `shards`
holds, per shard, what is to do (`.todo`) and, once the shard is in place, what it holds (`.done`).
TensorFlow is not needed. TFDS is imported with this file, before any thread writes a shard.
"""

import dataclasses
import io
import json
import math
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from input_pipeline.extras import extra
from input_pipeline.files.images import ImageError, Warn, decode, load
from input_pipeline.files.prepared import INDEX_COLUMN, SPLIT_COLUMN, TABLE, open_file
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tiles.tiling import Tiling, cut, grid

with extra("prepare"):
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordWriter

_SUFFIX = "array_record"
_PLACE = ("row", "column")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the shards of a data set have in common.

    Attributes:
        folder: of the data set.
        tiling: how images are cut to tiles; None to keep the files as they are.
        is_tiled: whether a record is a tile, cut here or before.
        is_numeric: whether labels are numbers.
        features: names of further numeric columns.
        max_pixels: a larger image is refused.
    """

    folder: str
    tiling: Tiling | None
    is_tiled: bool
    is_numeric: bool
    features: tuple[str, ...]
    max_pixels: int

    @property
    def name(self) -> str:
        """Name of the TFDS data set."""
        return "tiles" if self.is_tiled else "images"

    @property
    def shards(self) -> Path:
        """Folder of what is to do and what is done."""
        return Path(self.folder, "shards")


def plan_shards(plan: Plan, manifest: Manifest, table: pd.DataFrame, images: int) -> list[str]:
    """Writes down what each shard is to hold.

    Args:
        plan: of the data set.
        manifest: whose images are shared out, split by split in their order.
        table: the manifest's own table.
        images: per shard.

    Returns:
        The names of all shards.
    """
    files = manifest.images.reset_index() if manifest.tiles is None else manifest.tiles
    by_image = dict(list(files.groupby("image_id", sort=False)))
    plan.shards.mkdir(parents=True, exist_ok=True)
    names = []
    for split in manifest.splits:
        chosen = manifest.split(split)
        count = math.ceil(len(chosen) / images)
        for number in range(count):
            names.append(f"{split}-{number:05}-of-{count:05}")
            rows = chosen[number * images : (number + 1) * images]
            todo = [
                _describe_image(plan, image, by_image[image_id], table)
                for image_id, image in rows.iterrows()
            ]
            _write_json(plan.shards / f"{names[-1]}.todo", todo)
    return names


def is_done(plan: Plan, name: str) -> bool:
    """Says whether a shard is there, whole; one whose record is damaged is made again."""
    try:
        return bool(_read_done(plan, name))
    except (FileNotFoundError, ValueError):
        return False


def write_shard(plan: Plan, name: str) -> None:
    """Writes a shard; an image that cannot be used is left out, and noted as warnings are."""
    features = make_features(plan)
    records: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    warnings: list[dict[str, str]] = []
    size = 0
    part = plan.shards / f"{name}.{uuid.uuid4().hex}.part"
    # One record per group, as TFDS writes them: any of them is read alone.
    writer = ArrayRecordWriter(str(part), "group_size:1")
    try:
        for image in json.loads((plan.shards / f"{name}.todo").read_text(encoding="utf-8")):
            found: list[str] = []
            try:
                examples = _examples(plan, image, found.append)
            except ImageError as error:
                errors.append({"path": image["name"], "error": str(error)})
                continue
            warnings += [{"path": image["name"], "warning": sentence} for sentence in found]
            for record, example in examples:
                data = features.serialize_example(example)
                writer.write(data)
                records.append(record)
                size += len(data)
        writer.close()
        os.replace(part, _shard_path(plan, name))
    finally:
        part.unlink(missing_ok=True)
    done = {"records": records, "errors": errors, "warnings": warnings, "bytes": size}
    _write_json(plan.shards / f"{name}.done", done)


def finish(
    plan: Plan,
    table: pd.DataFrame,
    names: Sequence[str],
    description: str,
    metadata: Mapping[str, Any],
) -> None:
    """Makes a data set of shards that are all there; its table comes last and declares it whole.

    Args:
        plan: of the data set.
        table: the manifest's own table.
        names: of the shards.
        description, metadata: what TFDS is to say of it.

    Raises:
        ImageError: no image of a split could be used.
    """
    done = {name: _read_done(plan, name) for name in names}
    errors = pd.DataFrame(
        [error for shard in done.values() for error in shard["errors"]], columns=["path", "error"]
    )
    errors.to_csv(Path(plan.folder, "errors.csv"), index=False)
    # Tiles are written as they were decoded: nobody can find out later.
    if warnings := [one for shard in done.values() for one in shard.get("warnings", ())]:
        pd.DataFrame(warnings).to_csv(Path(plan.folder, "warnings.csv"), index=False)
    template = tfds.core.ShardedFileTemplate(
        data_dir=Path(plan.folder), dataset_name=plan.name, filetype_suffix=_SUFFIX
    )
    infos, parts = [], []
    by_split: dict[str, list[dict[str, Any]]] = {}
    for name, shard in done.items():
        by_split.setdefault(name.rsplit("-", 3)[0], []).append(shard)
    for split, shards in by_split.items():
        records = [record for shard in shards for record in shard["records"]]
        if not records:
            raise ImageError(
                f"{plan.folder}: no image of the split {split!r} could be used; see errors.csv "
                "there, put the files right, and prepare into another folder."
            )
        rows = table.loc[[record.pop("file_row") for record in records]]
        parts.append(
            rows.assign(
                # What a record says of itself: a tile that was cut here has no row of its own.
                **{name: [record[name] for record in records] for name in records[0]},
                **{SPLIT_COLUMN: split, INDEX_COLUMN: np.arange(len(records))},
            )
        )
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[len(shard["records"]) for shard in shards],
                num_bytes=sum(shard["bytes"] for shard in shards),
                filename_template=template.replace(split=split),
            )
        )
    tfds.folder_dataset.write_metadata(
        data_dir=plan.folder,
        features=make_features(plan),
        split_infos=infos,
        version="1.0.0",
        check_data=False,
        description=description,
        metadata=tfds.core.MetadataDict(metadata),
    )
    # The order of the manifest, from which images have their number and drawn splits follow.
    records = pd.concat(parts).sort_index(kind="stable")
    part = plan.shards / f"{TABLE}.part"
    records.astype(str).to_parquet(part, index=False)
    os.replace(part, Path(plan.folder, TABLE))
    shutil.rmtree(plan.shards)


def make_features(plan: Plan):
    """Describes a record to TFDS."""
    label = "as the manifest writes it, in its own direction"
    features = {
        "image": tfds.features.Image(
            shape=(None, None, 3),
            doc="the tile, as PNG" if plan.tiling else "the file, byte for byte",
        ),
        "path": tfds.features.Text(doc="as the manifest writes it"),
        "group": tfds.features.Text(doc="what no two splits share"),
        "label": tfds.features.Scalar(np.float32, doc=label)
        if plan.is_numeric
        else tfds.features.Text(doc=label),
        **{
            name: tfds.features.Scalar(np.float32, doc="a column of the manifest")
            for name in plan.features
        },
    }
    if plan.is_tiled:
        features |= {
            "image_name": tfds.features.Text(doc="the image that the tile is of"),
            **{
                name: tfds.features.Scalar(np.int32, doc="of the tile in the image's grid")
                for name in _PLACE
            },
        }
    return tfds.features.FeaturesDict(features)


def _describe_image(
    plan: Plan, image: pd.Series, files: pd.DataFrame, table: pd.DataFrame
) -> dict[str, Any]:
    """Says what a worker must know of an image, for JSON."""
    return {
        "name": image["name"],
        "values": {
            "group": image["group"],
            "label": image["label_text"],
            **{feature: float(image[feature]) for feature in plan.features},
        },
        "files": [
            {
                "file_row": row["file_row"],
                "written": table.at[row["file_row"], "path"],
                "path": row["path"],
                # Of a tile that was cut before.
                "place": [row.get("row"), row.get("column")],
            }
            for row in files.to_dict("records")
        ],
    }


def _examples(
    plan: Plan, image: dict[str, Any], warn: Warn
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Gives, per record of an image, what the table says of it, and the example itself.

    Raises:
        ImageError: a file of it cannot be used.
    """
    read = _cut_file if plan.tiling else _read_files
    examples = []
    for record, data in read(plan, image, warn):
        example = {"image": data, "path": record["path"], **image["values"]}
        if plan.is_numeric:
            example["label"] = float(example["label"])
        if plan.is_tiled:
            record |= {"image": image["name"]}
            example |= {"image_name": image["name"], **{key: record[key] for key in _PLACE}}
        examples.append((record, example))
    return examples


def _read_files(plan: Plan, image: dict[str, Any], warn: Warn):
    """Yields the files of an image as they are, once they are known to be whole."""
    for file in image["files"]:
        try:
            with open_file(file["path"]) as opened:
                data = opened.read()
        except OSError as error:
            raise ImageError(
                f"{file['path']}: it cannot be read ({error.strerror or error})."
            ) from error
        decode(data, max_pixels=plan.max_pixels, name=file["path"], warn=warn)
        record = {"file_row": file["file_row"], "path": file["written"]}
        row, column = file["place"]
        yield record | ({"row": row, "column": column} if plan.is_tiled else {}), data


def _cut_file(plan: Plan, image: dict[str, Any], warn: Warn):
    """Yields the tiles of an image as PNG, which loses nothing."""
    (file,), tiling = image["files"], plan.tiling
    assert tiling is not None
    reduction = tiling.reduction
    pixels = load(file["path"], max_pixels=plan.max_pixels, reduction=reduction, warn=warn)
    height, width = pixels.shape[:2]
    cells = grid(height, width, tiling)
    tiles = cut(pixels, cells.origins, tiling.size)
    for tile, (row, column) in zip(tiles, cells.positions.tolist(), strict=True):
        data = io.BytesIO()
        Image.fromarray(tile).save(data, format="png")
        path = f"{file['written']}/{row}_{column}.png"
        record = {"file_row": file["file_row"], "path": path, "row": row, "column": column}
        yield record, data.getvalue()


def _read_done(plan: Plan, name: str) -> dict[str, Any]:
    return json.loads((plan.shards / f"{name}.done").read_text(encoding="utf-8"))


def _shard_path(plan: Plan, name: str) -> Path:
    split, number, _, count = name.rsplit("-", 3)
    return Path(plan.folder, f"{plan.name}-{split}.{_SUFFIX}-{number}-of-{count}")


def _write_json(path: Path, content: Any) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    part.write_text(json.dumps(content), encoding="utf-8")
    os.replace(part, path)
