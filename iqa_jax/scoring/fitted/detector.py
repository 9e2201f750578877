"""The detector of anomalous tiles of a run: fitted on tiles of good training images, kept, read.

It is kept in anomaly.npz, for one checkpoint and the settings of `anomaly`. Its figures are read
off splits that it was not fitted on.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ml_collections
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from iqa_jax.analysis.detectors import DETECTORS, Detector, fit_detector
from iqa_jax.host.progress import meter, say
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.answered import Answered

FILE = "anomaly.npz"


def fit_training_detector(
    config: ml_collections.ConfigDict,
    images: pd.DataFrame,
    embed: Callable[[Sequence[int]], Iterator[tuple[Any, np.ndarray]]],
) -> Detector | None:
    """Fits the detector on tiles of images labelled with the best class, and says if it cannot.

    Args:
      config: of the run.
      images: the manifest's rows of the split `train`.
      embed: gives the bags of images and the embeddings of their tiles [tile, dim].

    Returns:
      None if the config asks for none, or too few tiles can be read.
    """
    anomaly = config.anomaly
    if anomaly.kind == "none":
        return None
    good = images.index[images["label"] == len(config.data.classes) - 1]
    tiles = []
    with meter("embedding good images", len(good)) as progress:
        for done, (_, embeddings) in enumerate(embed(good), start=1):
            # A bag with an error has none, and none of any width.
            tiles += [embeddings] if len(embeddings) else []
            progress.update(done)
    found = np.concatenate(tiles) if tiles else np.zeros((0, 1))
    if len(found) > anomaly.tiles:
        rng = np.random.default_rng(config.seed)
        found = found[np.sort(rng.choice(len(found), anomaly.tiles, replace=False))]
    say(f"fitting anomaly.kind {anomaly.kind} on {len(found)} tiles of {len(good)} good images")
    try:
        return fit_detector(anomaly.kind, found, memory=anomaly.memory, seed=config.seed)
    except ValueError as error:
        say(f"anomaly: undefined. {error}")
        return None


def write_detector(
    workdir: Workdir, config: ml_collections.ConfigDict, step: int, detector: Detector
) -> None:
    """Keeps the detector of a step in the workdir."""
    arrays = {"scale": detector.scale, **dataclasses.asdict(detector.known)}
    workdir.write_arrays(FILE, {"step": step, "settings": _settings(config)}, arrays)


def read_detector(
    workdir: Workdir, config: ml_collections.ConfigDict, step: int
) -> Detector | None:
    """Reads the detector; None if it is not there, or for another step or other settings."""
    kind = config.anomaly.kind
    if kind == "none":
        return None
    found = workdir.read_arrays(FILE, {"step": step, "settings": _settings(config)})
    if found is None:
        return None
    scale = found[1].pop("scale")
    return Detector(kind, scale, DETECTORS[kind].made(**found[1]))


def image_anomaly(config: ml_collections.ConfigDict, answer: Answered) -> float | None:
    """Gives the anomaly of an image: the quantile `anomaly.quantile` of its tiles'."""
    if answer.anomaly is None or not len(answer.anomaly):
        return None
    return float(np.quantile(answer.anomaly, config.anomaly.quantile))


def anomaly_figures(
    config: ml_collections.ConfigDict, answers: Sequence[Answered], labels: np.ndarray
) -> dict[str, Any]:
    """Measures how well the anomaly tells images of the best class from all others.

    Args:
      config: of the run.
      answers: of a split that the detector was not fitted on.
      labels: of its images; negative ones are no class.

    Returns:
      `anomaly`, with `kind`, `images` and `auroc`, None where undefined. Nothing without detector.
    """
    scores = [image_anomaly(config, answer) for answer in answers]
    kept = [(score, label) for score, label in zip(scores, labels, strict=True)
            if score is not None and label >= 0]  # fmt: skip
    if not kept:
        return {}
    score, label = np.transpose(kept)
    is_bad = label < len(config.data.classes) - 1
    auroc = None if is_bad.all() or not is_bad.any() else float(roc_auc_score(is_bad, score))
    return {"anomaly": {"kind": config.anomaly.kind, "images": len(kept), "auroc": auroc}}


def _settings(config: ml_collections.ConfigDict) -> str:
    return json.dumps(config.anomaly.to_dict(), sort_keys=True)
