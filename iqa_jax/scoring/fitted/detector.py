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

from input_pipeline.extras import extra
from iqa_jax.analysis.detectors import DETECTORS, Detector, fit_detector
from iqa_jax.host.progress import meter, say
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.answered import Answered

FILE = "anomaly.npz"


@dataclasses.dataclass(frozen=True)
class DetectorSettings:
    """What a detector hangs on.

    Attributes:
        kind: of `DETECTORS`.
        tiles: of good images that it is fitted on, at most.
        memory: so many of these are remembered, at most.
        quantile: of an image's tiles, for its score.
        best: number of the class of good images.
        seed: of the choice of tiles.
        fitted_for: the keys of `anomaly` as JSON; a detector is read back for these alone.
    """

    kind: str
    tiles: int
    memory: int
    quantile: float
    best: int
    seed: int
    fitted_for: str


def detector_settings_from_config(config: ml_collections.ConfigDict) -> DetectorSettings | None:
    """Says what the detector of a run hangs on; None where the config asks for none."""
    anomaly = config.anomaly
    if anomaly.kind == "none":
        return None
    return DetectorSettings(
        kind=anomaly.kind,
        tiles=anomaly.tiles,
        memory=anomaly.memory,
        quantile=anomaly.quantile,
        best=len(config.data.classes) - 1,
        seed=config.seed,
        fitted_for=json.dumps(anomaly.to_dict(), sort_keys=True),
    )


def fit_training_detector(
    settings: DetectorSettings,
    images: pd.DataFrame,
    embed: Callable[[Sequence[int]], Iterator[tuple[Any, np.ndarray]]],
) -> Detector | None:
    """Fits the detector on tiles of images labelled with the best class, and says if it cannot.

    Args:
        settings: of the run.
        images: the manifest's rows of the split `train`.
        embed: gives the bags of images and the embeddings of their tiles [tile, dim].

    Returns:
        None if too few tiles can be read.
    """
    good = images.index[images["label"] == settings.best]
    tiles = []
    with meter("embedding good images", len(good)) as progress:
        for done, (_, embeddings) in enumerate(embed(good), start=1):
            # A bag with an error has none, and none of any width.
            tiles += [embeddings] if len(embeddings) else []
            progress.update(done)
    found = np.concatenate(tiles) if tiles else np.zeros((0, 1))
    if len(found) > settings.tiles:
        rng = np.random.default_rng(settings.seed)
        found = found[np.sort(rng.choice(len(found), settings.tiles, replace=False))]
    say(f"fitting anomaly.kind {settings.kind} on {len(found)} tiles of {len(good)} good images")
    try:
        return fit_detector(settings.kind, found, memory=settings.memory, seed=settings.seed)
    except ValueError as error:
        say(f"anomaly: undefined. {error}")
        return None


def write_detector(
    workdir: Workdir, step: int, settings: DetectorSettings, detector: Detector
) -> None:
    """Keeps the detector of a step in the workdir."""
    arrays = {"scale": detector.scale, **dataclasses.asdict(detector.known)}
    workdir.write_arrays(FILE, {"step": step, "settings": settings.fitted_for}, arrays)


def read_detector(
    workdir: Workdir, step: int, settings: DetectorSettings | None
) -> Detector | None:
    """Reads the detector; None if it is not there, or for another step or other settings."""
    if settings is None:
        return None
    found = workdir.read_arrays(FILE, {"step": step, "settings": settings.fitted_for})
    if found is None:
        return None
    scale = found[1].pop("scale")
    return Detector(settings.kind, scale, DETECTORS[settings.kind].made(**found[1]))


def image_anomaly(settings: DetectorSettings | None, answer: Answered) -> float | None:
    """Gives the anomaly of an image: a quantile of its tiles'; None without a detector."""
    if settings is None or answer.anomaly is None or not len(answer.anomaly):
        return None
    return float(np.quantile(answer.anomaly, settings.quantile))


def anomaly_figures(
    settings: DetectorSettings | None, answers: Sequence[Answered], labels: np.ndarray
) -> dict[str, Any]:
    """Measures how well the anomaly tells images of the best class from all others.

    Args:
        settings: of the detector, if the run has one.
        answers: of a split that the detector was not fitted on.
        labels: of its images; negative ones are no class.

    Returns:
        `anomaly`, with `kind`, `images` and `auroc`, None where undefined. Nothing without
        detector.
    """
    scores = [image_anomaly(settings, answer) for answer in answers]
    kept = [(score, label) for score, label in zip(scores, labels, strict=True)
            if score is not None and label >= 0]  # fmt: skip
    if settings is None or not kept:
        return {}
    with extra("train"):
        from sklearn.metrics import roc_auc_score
    score, label = np.transpose(kept)
    is_bad = label < settings.best
    auroc = None if is_bad.all() or not is_bad.any() else float(roc_auc_score(is_bad, score))
    return {"anomaly": {"kind": settings.kind, "images": len(kept), "auroc": auroc}}
