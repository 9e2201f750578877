"""How far to trust each answer: uncertainty, interval, abstaining, and whether the image is new.

What is fitted for it, once per checkpoint: a conformal quantile on the images of
`uncertainty.split`, and the domain of the embeddings of training images, whose limit is a quantile
over the same split. It is kept in confidence.npz.

By default that split is `val`, which has chosen the checkpoint and fitted the calibration too: a
mild reuse, so that the promise holds roughly. The coverage measured on other splits says how
roughly; a split of its own makes it exact for images exchangeable with those of that split.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from iqa_jax.analysis.conformal import conformal_quantile, rows_needed
from iqa_jax.analysis.ood import DISTANCES, Domain, fit_domain
from iqa_jax.host.progress import meter, say
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.calibration import FILE as CALIBRATION

COLUMNS: dict[str, type] = {
    "uncertainty": float,
    "mutual_information": float,
    "lower": float,
    "upper": float,
    "ood": bool,
    "abstain": bool,
}
FILE = "confidence.npz"
# Scaled intervals: what an image is unsure by at least, as a share of the labels' scale. It keeps
# an image on which all passes happen to agree from an interval of no width.
_LEAST_WIDTH = 0.01


@dataclasses.dataclass(frozen=True)
class Confidence:
    """What is fitted for one checkpoint; None where it is not or where too few rows define it.

    Attributes:
      quantile: of the conformal scores.
      domain: of the training images.
      ood_limit: the distance beyond which an image is called new.
    """

    quantile: float | None = None
    domain: Domain | None = None
    ood_limit: float | None = None


def uncertainty_of(config: ml_collections.ConfigDict, answer: Answered) -> float | None:
    """Gives how unsure the headline answer of an image is.

    Args:
      config: of the run.
      answer: without error, calibrated.

    Returns:
      Classes: the entropy of the answer, or of the mean over passes (nats). Scores: the standard
      deviation over passes and views, on the labels' scale; None with one of each.
    """
    values = answer.values[config.evaluation.fusion]
    return kind_from_config(config).uncertainty(values, answer.samples, answer.views)


def confidence_row(
    config: ml_collections.ConfigDict, answer: Answered, confidence: Confidence
) -> dict[str, Any]:
    """Gives the columns of `COLUMNS` for one image; None where one is not defined.

    Classes alone have `mutual_information` (part of the uncertainty that the passes disagree on)
    and `abstain` (the class set holds none or several); numeric labels alone `lower` and `upper`.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    if answer.error:
        return row
    kind, values = kind_from_config(config), answer.values[config.evaluation.fusion]
    row["uncertainty"] = uncertainty_of(config, answer)
    row["mutual_information"] = kind.disagreement(answer.samples)
    if confidence.quantile is not None:
        row |= kind.promise(values, confidence.quantile, _width(config, answer))
    if confidence.domain is not None and confidence.ood_limit is not None:
        distance = _distances(config, confidence.domain, [answer])[0]
        row["ood"] = bool(distance > confidence.ood_limit)
    return row


def confidence_metrics(
    config: ml_collections.ConfigDict,
    answers: Sequence[Answered],
    labels: np.ndarray,
    confidence: Confidence,
) -> dict[str, float | None]:
    """Measures on rows that nothing was fitted on whether intervals and sets keep their promise.

    Args:
      config: of the run.
      answers: of a split.
      labels: of its images; negative ones are no class.
      confidence: what is fitted.

    Returns:
      `coverage`: share of images whose interval or class set holds the label. numeric:
      `interval_width`, on average. Classes: `abstained`, share of images. `out_of_domain`, share of
      images. None where undefined; where pairs are compared, the last alone.
    """
    kind, quantile = kind_from_config(config), confidence.quantile
    rows = [confidence_row(config, answer, confidence) for answer in answers if not answer.error]
    good, known = _labelled(config, answers, labels)
    covered = None
    if quantile is not None and good:
        values, widths = _values(config, good), _widths(config, good)
        covered = kind.holds_label(values, known, quantile, widths)
    figures = {"coverage": _mean(covered)} if kind.promised else {}
    figures |= {name: _mean(parts) for name, parts in kind.promise_figures(rows).items()}
    figures["out_of_domain"] = _mean([row["ood"] for row in rows if row["ood"] is not None])
    return figures


def fit_confidence(
    config: ml_collections.ConfigDict,
    answers: Sequence[Answered],
    images: pd.DataFrame,
    train_ids: Sequence[int],
    score: Callable[[Sequence[int]], Iterator[Answered]],
) -> Confidence:
    """Fits what the columns need, and says what the rows do not suffice for.

    Args:
      config: of the run.
      answers: of the images of `uncertainty.split`.
      images: the manifest's rows of them.
      train_ids: images of the split `train`.
      score: answers images, by image_id.
    """
    uncertainty = config.uncertainty
    good, known = _labelled(config, answers, images["label"].to_numpy())
    quantile = conformal_quantile(_conformal_scores(config, good, known), uncertainty.coverage)
    # Where pairs are compared, an image alone has no label that an interval could hold.
    promised = kind_from_config(config).promised
    if quantile is None and promised:
        say(
            f"{', '.join(promised)}: undefined, {uncertainty.split} has {len(good)} labelled "
            f"images and a coverage of {uncertainty.coverage:g} needs "
            f"{rows_needed(uncertainty.coverage)}"
        )
    elif promised and (groups := images["group"].nunique()) < rows_needed(uncertainty.coverage):
        say(
            f"the {len(images)} images of {uncertainty.split} are of {groups} groups: a coverage "
            f"of {uncertainty.coverage:g} is promised for images of these, not of new ones"
        )
    if uncertainty.ood == "none":
        return Confidence(quantile)
    known_ids = np.asarray(train_ids)
    if len(known_ids) > uncertainty.ood_images:
        rng = np.random.default_rng(config.seed)
        known_ids = np.sort(rng.choice(known_ids, uncertainty.ood_images, replace=False))
    embeddings = []
    with meter("embedding train", len(known_ids)) as progress:
        for done, answer in enumerate(score(known_ids), start=1):
            embeddings += [] if answer.error else [answer.embedding]
            progress.update(done)
    try:
        domain = fit_domain(np.array(embeddings))
    except ValueError as error:
        say(f"ood: undefined. {error}")
        return Confidence(quantile)
    answered = [answer for answer in answers if not answer.error]
    distances = _distances(config, domain, answered) if answered else []
    limit = conformal_quantile(distances, uncertainty.ood_quantile)
    if limit is None:
        say(
            f"ood: undefined, {uncertainty.split} has {len(answered)} images and a quantile of "
            f"{uncertainty.ood_quantile:g} needs {rows_needed(uncertainty.ood_quantile)}"
        )
    return Confidence(quantile, domain, limit)


def write_confidence(
    workdir: Workdir, config: ml_collections.ConfigDict, step: int, confidence: Confidence
) -> None:
    """Keeps what was fitted for a step in the workdir; the file appears whole."""
    about = {
        "step": step,
        **_fitted_for(workdir, config, step),
        "quantile": confidence.quantile,
        "ood_limit": confidence.ood_limit,
    }
    arrays = dataclasses.asdict(confidence.domain) if confidence.domain else {}
    workdir.write_arrays(FILE, about, arrays)


def read_confidence(
    workdir: Workdir, config: ml_collections.ConfigDict, step: int
) -> Confidence | None:
    """Reads what was fitted; None if it is not there, or for another step or other settings."""
    found = workdir.read_arrays(FILE, {"step": step, **_fitted_for(workdir, config, step)})
    if found is None:
        return None
    about, arrays = found
    domain = Domain(**arrays) if arrays else None
    return Confidence(about["quantile"], domain, about["ood_limit"])


def _fitted_for(workdir: Workdir, config: ml_collections.ConfigDict, step: int) -> dict[str, Any]:
    """Says what fitted values depend on and a later start may change."""
    settings = json.dumps([config.tta.to_dict(), config.uncertainty.to_dict()], sort_keys=True)
    return {"settings": settings, "calibration": workdir.fitted(CALIBRATION, step)}


def _labelled(
    config: ml_collections.ConfigDict, answers: Sequence[Answered], labels: np.ndarray
) -> tuple[list[Answered], np.ndarray]:
    """Gives the answered images that have a label of their kind, and those labels."""
    is_known = np.array([not answer.error for answer in answers], bool)
    is_known &= kind_from_config(config).is_labelled(labels)
    return [answers[row] for row in np.flatnonzero(is_known)], labels[is_known]


def _conformal_scores(
    config: ml_collections.ConfigDict, answers: Sequence[Answered], labels: np.ndarray
) -> np.ndarray:
    if not answers:
        return np.zeros(0)
    values, widths = _values(config, answers), _widths(config, answers)
    return kind_from_config(config).conformal_scores(values, labels, widths)


def _values(config: ml_collections.ConfigDict, answers: Sequence[Answered]) -> np.ndarray:
    return np.array([answer.values[config.evaluation.fusion] for answer in answers])


def _widths(config: ml_collections.ConfigDict, answers: Sequence[Answered]) -> np.ndarray:
    return np.array([_width(config, answer) for answer in answers])


def _width(config: ml_collections.ConfigDict, answer: Answered) -> float:
    """Gives what the interval of an image is proportional to."""
    if not config.uncertainty.scale_intervals:
        return 1.0
    least = _LEAST_WIDTH * (config.data.maximum - config.data.minimum)
    return uncertainty_of(config, answer) + least


def _distances(
    config: ml_collections.ConfigDict, domain: Domain, answers: Sequence[Answered]
) -> np.ndarray:
    embeddings = np.array([answer.embedding for answer in answers])
    return DISTANCES[config.uncertainty.ood](domain, embeddings)


def _mean(values) -> float | None:
    return float(np.mean(values)) if values is not None and len(values) else None
