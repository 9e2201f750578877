"""What each image is trained on: its label in the task's own form, and its weight."""

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.tables.cells import name_rows
from input_pipeline.tables.manifest import Manifest
from input_pipeline.tables.table_files import ManifestError
from iqa_jax.learning.ratings import agreement_weights, maximum_entropy
from iqa_jax.run.build import loss_name_from_config
from iqa_jax.run.config import kind_from_config


def targets_from_config(
    config: ml_collections.ConfigDict, manifest: Manifest
) -> dict[str, np.ndarray]:
    """Gives what replaces or joins the keys of a training batch, indexed by image_id.

    Args:
        config: of the run.
        manifest: of the run.

    Returns:
        `label`: [image] class index or score; for the distribution of ratings [image, bins]
        float32. `weight` [image] float32, if the config asks for it; `set_id` [image] int32, if
        several sets train together. Nothing where pairs are compared: what is better hangs on the
        pair, and batches bring it.

    Raises:
        ManifestError: ratings or stds that cannot be, with their rows.
    """
    data, images, kind = config.data, manifest.images, kind_from_config(config)
    if kind.is_of_pairs:
        return {}
    problems, std = [], None
    if data.label_std_column:
        std = images[data.label_std_column].to_numpy(np.float64)
        is_wrong = (std < 0) | (std > data.maximum - data.minimum)
        problems += _problems(
            images[is_wrong],
            f"{data.label_std_column} must be from 0 to {data.maximum - data.minimum:g}, the "
            "length of the scale",
        )
    counts = images[list(data.count_columns)].to_numpy(np.float64)
    scores = np.linspace(data.minimum, data.maximum, counts.shape[1] or config.loss.emd.bins)
    if counts.shape[1]:
        if not data.higher_is_better:
            # The labels were mirrored on reading.
            counts = counts[:, ::-1]
        problems += _count_problems(images, counts, scores)
    if problems:
        raise ManifestError(manifest.path, problems)

    targets = {"label": images["label"].to_numpy()}
    if manifest.sets:
        targets["set_id"] = images["set_id"].to_numpy()
    if kind.has_scale and loss_name_from_config(config) == "emd":
        if counts.shape[1]:
            distribution = counts / counts.sum(axis=1, keepdims=True)
        else:
            # Float32 may have rounded a label off the scale.
            mean = np.clip(targets["label"].astype(np.float64), data.minimum, data.maximum)
            distribution = maximum_entropy(mean, std, scores)
        targets["label"] = distribution.astype(np.float32)
    if config.loss.use_std_weights:
        is_train = (images["split"] == "train").to_numpy()
        try:
            targets["weight"] = agreement_weights(std, is_train).astype(np.float32)
        except ValueError as error:
            raise ManifestError(manifest.path, [f"{data.label_std_column}: {error}"]) from error
    return targets


def _count_problems(images: pd.DataFrame, counts: np.ndarray, scores: np.ndarray) -> list[str]:
    is_no_count = (counts < 0).any(axis=1) | (counts.sum(axis=1) <= 0)
    problems = _problems(images[is_no_count], "data.count_columns must be 0 or more and not all 0")
    mean = counts @ scores / np.where(is_no_count, 1, counts.sum(axis=1))
    is_off = ~is_no_count & (np.abs(mean - images["label"]) > scores[1] - scores[0])
    return problems + _problems(
        images[is_off],
        "the mean of data.count_columns is more than one score away from the label; list the "
        "columns from the lowest score to the highest",
    )


def _problems(images: pd.DataFrame, what: str) -> list[str]:
    return [f"{name_rows(images['file_row'])}: {what}"] if len(images) else []
