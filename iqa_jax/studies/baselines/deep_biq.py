"""DeepBIQ: an encoder that learnt to grade crops, a support vector regression of their scores.

The encoder learns five classes, bad to excellent, on crops of the images of a split that are not
tested; the regression learns the images' opinion scores from its embeddings of crops, and an image
gets the mean over its crops. The published .91 on LIVE In the Wild has been traced to an encoder
that had seen the test images (Götz-Hahn, Hosu and Saupe 2022, arXiv 2009.05369); here its manifest
does not have them.

Source:
    Bianco, Celona, Napoletano and Schettini 2017, "On the Use of Deep Learning for Blind Image
    Quality Assessment". Other than there, the encoder is that of the recipe, its embedding stands
    for the last hidden layer, and crops are tiles of the recipe's size that do not overlap.
"""

from collections.abc import Sequence
from functools import reduce
from operator import getitem
from pathlib import Path

import ml_collections
import numpy as np
from jaxtyping import Float, Int
from sklearn.base import clone

from input_pipeline.files.images import ImageError
from iqa_jax.run import build
from iqa_jax.run.checks import check_config
from iqa_jax.run.config import default_config
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.embedding_cache import embeddings_from_config
from iqa_jax.scoring.fitted.probe import variables_from_config
from iqa_jax.studies.baselines.regression import SVR_LINEAR, choose
from iqa_jax.studies.baselines.rows import Answers, Predict, Rows
from iqa_jax.studies.study import Stopped
from iqa_jax.training.data import prepare_training
from iqa_jax.training.loop import fit
from iqa_jax.training.training_error import TrainingError

CLASSES = ("bad", "poor", "fair", "good", "excellent")
_EPOCHS = 5
# What the encoder's run has of the recipe's: its images and how they are cut and changed, the
# network that encodes a tile and the head on it, and what the host can do.
_CARRIED = (
    "seed", "data", "host", "tiles", "augment", "batch_size", "accumulation_steps",
    "model.encoder", "encoder.mobilenet_v2.width_multiplier", "model.weights",
    "model.norm_statistics", "model.dtype", "model.hidden_dim", "model.dropout",
    "checkpoint_every_steps", "log_every_steps",
)  # fmt: skip


def fit_deep_biq(config: ml_collections.ConfigDict, train: Rows, folder: Path) -> Predict:
    """Fits the encoder, in a workdir of its own that goes on after an interruption, and the SVR.

    Raises:
        ConfigError: the recipe's keys do not suit the encoder.
        TrainingError: all images are of one class.
        Stopped: a signal ended the encoder's training.
    """
    scale = config.data.minimum, config.data.maximum
    classes, grades = grade_classes(train.labels, *scale), grade(train.labels, *scale)
    run = encoder_config(config, classes, _write_crops(train, grades, folder / "crops.csv"))
    manifest, workdir = build.manifest_from_config(run), Workdir(folder / "encoder")
    workdir.open_for_training(run, manifest)
    if stopped_by := fit(run, prepare_training(run, manifest, workdir), workdir):
        raise Stopped(stopped_by)
    variables, _ = variables_from_config(workdir, run)

    def embed(rows: Rows) -> tuple[list[np.ndarray], list[str]]:
        """Gives [crop, dim] and why there is none, for each image."""
        source = build.source_from_config(run, rows.manifest)
        read, found, errors = embeddings_from_config(run, variables, source), [], []
        for image_id in rows.image_ids.tolist():
            try:
                found.append(np.asarray(read(image_id)[0], np.float64))
                errors.append("")
            except ImageError as error:
                found.append(np.zeros((0, 0)))
                errors.append(str(error))
        return found, errors

    crops, _ = embed(train)
    is_known = np.array([len(of_image) > 0 for of_image in crops])
    crops = [of_image for of_image in crops if len(of_image)]
    labels, groups = train.labels[is_known], train.groups[is_known]
    # One crop of each image is enough to choose by, and a fraction of the time.
    rng = np.random.default_rng(config.seed)
    one_each = np.stack([of_image[rng.integers(len(of_image))] for of_image in crops])
    chosen = choose(SVR_LINEAR, one_each, labels, groups)
    counts = [len(of_image) for of_image in crops]
    model = clone(chosen).fit(np.concatenate(crops), np.repeat(labels, counts))

    def predict(rows: Rows) -> Answers:
        found, errors = embed(rows)
        scores = [model.predict(of_image).mean() if len(of_image) else np.nan for of_image in found]
        return Answers(np.array(scores), errors)

    return predict


def grade(
    labels: Float[np.ndarray, " image"], minimum: float, maximum: float
) -> Int[np.ndarray, " image"]:
    """Puts opinion scores into `CLASSES`, of equal width on the declared scale; gives numbers."""
    share = (labels - minimum) / (maximum - minimum)
    return np.clip((share * len(CLASSES)).astype(int), 0, len(CLASSES) - 1)


def _write_crops(train: Rows, grades: Int[np.ndarray, " image"], path: Path) -> Path:
    """Writes the manifest that the encoder learns from: the rows to fit on, and no others."""
    manifest, ids = train.manifest, train.image_ids
    names = np.array(CLASSES)[grades]
    images = manifest.images.loc[ids, ["path", "name", "group"]].assign(label=names, split="train")
    if manifest.tiles is not None:
        columns = ["path", "row", "column"]
        tiles = manifest.tiles[manifest.tiles["image_id"].isin(ids)].set_index("image_id")[columns]
        images = tiles.join(images.drop(columns="path")).rename(columns={"name": "image"})
    else:
        images = images.drop(columns="name")
    images.to_csv(path, index=False)
    return path.absolute()


def grade_classes(
    labels: Float[np.ndarray, " image"], minimum: float, maximum: float
) -> tuple[str, ...]:
    """Names the classes that some images have: one that no image has cannot be learnt.

    Raises:
        TrainingError: all images are of one class.
    """
    grades = grade(labels, minimum, maximum)
    classes = tuple(CLASSES[number] for number in np.unique(grades))
    if len(classes) < 2:
        raise TrainingError(
            f"all images that deep_biq is fitted on are {classes[0]}: it has nothing to tell apart."
        )
    return classes


def encoder_config(
    config: ml_collections.ConfigDict,
    classes: Sequence[str] = CLASSES,
    manifest: Path = Path("crops.csv"),
) -> ml_collections.ConfigDict:
    """Makes the config of the encoder's run: the default, with the recipe's images and encoder.

    Args:
        config: of the recipe.
        classes: those of `CLASSES` that some image has.
        manifest: of the crops, in the folder of the baseline.

    Raises:
        ConfigError: a recipe that no such encoder can be trained with.
    """
    run, recipe = default_config(), ml_collections.ConfigDict(config.to_dict())
    for key in _CARRIED:
        *section, name = key.split(".")
        theirs, ours = (reduce(getitem, section, each) for each in (recipe, run))
        ours[name] = theirs[name]
    run.update_from_flattened_dict(
        {
            "data.manifest": str(manifest),
            "data.split_rows": "",
            "data.dropped_tiles": "",
            "data.label_kind": "ordered",
            "data.label_column": "label",
            "data.classes": tuple(classes),
            "data.label_std_column": "",
            "data.count_columns": (),
            "data.features": (),
            "tiles.stride": config.tiles.size,
            "tiles.random": True,
            "bags.cache_folder": str(manifest.parent / "embeddings"),
            "epochs": _EPOCHS,
            "loss.name": "cross_entropy",
            "optimizer.decay": "cosine",
            "early_stopping.metric": "",
        }
    )
    run.data.manifests = ml_collections.ConfigDict()
    check_config(run)
    return run
