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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np
import pandas as pd

from input_pipeline.tables.labels import PAIR_KINDS
from iqa_jax.analysis.conformal import (
    class_scores,
    class_sets,
    conformal_quantile,
    interval_scores,
    rows_needed,
)
from iqa_jax.analysis.kinds.kind import SCORE_KINDS, score_of, written_interval
from iqa_jax.analysis.ood import DISTANCES, Domain, fit_domain
from iqa_jax.analysis.uncertainty import (
    entropy,
    mutual_information,
    predictive_entropy,
    spread,
)
from iqa_jax.host.progress import meter, say
from iqa_jax.run.renamed import rename_keys
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.answered import Answered
from iqa_jax.scoring.fitted.thresholds import CALIBRATION

COLUMNS: dict[str, type] = {
    "uncertainty": float,
    "mutual_information": float,
    "lower": float,
    "upper": float,
    "ood": bool,
    "abstain": bool,
}
_FILE = "confidence.npz"
# Scaled intervals: what an image is unsure by at least, as a share of the labels' scale. It keeps
# an image on which all samples happen to agree from an interval of no width.
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
      Classes: the entropy of the answer, or of the mean over samples (nats). Scores: the standard
      deviation over samples and views, on the labels' scale; None with one of each.
    """
    kind = config.data.label_kind
    if kind not in SCORE_KINDS:
        if answer.samples is None:
            return float(entropy(answer.values[config.evaluation.fusion]))
        return float(predictive_entropy(answer.samples))
    parts = [
        spread(score_of(values, kind))
        for values in (answer.samples, answer.views)
        if values is not None and len(values) > 1
    ]
    return float(np.hypot.reduce(parts)) if parts else None


def confidence_row(
    config: ml_collections.ConfigDict, answer: Answered, confidence: Confidence
) -> dict[str, Any]:
    """Gives the columns of `COLUMNS` for one image; None where one is not defined.

    Classes alone have `mutual_information` (part of the uncertainty that the samples disagree on)
    and `abstain` (the class set holds none or several); numeric labels alone `lower` and `upper`.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    if answer.error:
        return row
    data, kind = config.data, config.data.label_kind
    values = answer.values[config.evaluation.fusion]
    row["uncertainty"] = uncertainty_of(config, answer)
    if kind not in SCORE_KINDS and answer.samples is not None:
        row["mutual_information"] = float(mutual_information(answer.samples))
    if confidence.quantile is not None:
        if kind == "numeric":
            row["lower"], row["upper"] = written_interval(
                *_interval(config, answer, confidence.quantile),
                data.minimum,
                data.maximum,
                data.higher_is_better,
            )
        else:
            row["abstain"] = bool(class_sets(values, confidence.quantile).sum() != 1)
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
    kind, quantile = config.data.label_kind, confidence.quantile
    rows = [confidence_row(config, answer, confidence) for answer in answers if not answer.error]
    good, known = _labelled(config, answers, labels)
    covered = None
    if quantile is not None and good:
        if kind == "numeric":
            lower, upper = np.transpose([_interval(config, answer, quantile) for answer in good])
            covered = (lower <= known) & (known <= upper)
        else:
            values = np.array([answer.values[config.evaluation.fusion] for answer in good])
            covered = class_sets(values, quantile)[np.arange(len(good)), known]
    figures = {} if kind in PAIR_KINDS else {"coverage": _mean(covered)}
    if kind == "numeric":
        widths = [row["upper"] - row["lower"] for row in rows if row["lower"] is not None]
        figures["interval_width"] = _mean(widths)
    elif kind not in PAIR_KINDS:
        figures["abstained"] = _mean([r["abstain"] for r in rows if r["abstain"] is not None])
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
    is_labelled = config.data.label_kind not in PAIR_KINDS
    if quantile is None and is_labelled:
        what = "lower, upper" if config.data.label_kind == "numeric" else "abstain"
        say(
            f"{what}: undefined, {uncertainty.split} has {len(good)} labelled images and a "
            f"coverage of {uncertainty.coverage:g} needs {rows_needed(uncertainty.coverage)}"
        )
    elif is_labelled and (groups := images["group"].nunique()) < rows_needed(uncertainty.coverage):
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
    workdir.write_arrays(_FILE, about, arrays)


def read_confidence(
    workdir: Workdir, config: ml_collections.ConfigDict, step: int
) -> Confidence | None:
    """Reads what was fitted; None if it is not there, or for another step or other settings."""
    wanted = {"step": step, **_fitted_for(workdir, config, step)}
    settings = wanted.pop("settings")
    found = workdir.read_arrays(_FILE, wanted)
    if found is None or _under_new_names(found[0].get("settings")) != settings:
        return None
    about, arrays = found
    domain = Domain(**arrays) if arrays else None
    return Confidence(about["quantile"], domain, about["ood_limit"])


def _fitted_for(workdir: Workdir, config: ml_collections.ConfigDict, step: int) -> dict[str, Any]:
    """Says what fitted values depend on and a later start may change."""
    settings = _format_settings(config.tta.to_dict(), config.uncertainty.to_dict())
    return {"settings": settings, "calibration": workdir.fitted(CALIBRATION, step)}


def _format_settings(tta: Mapping[str, Any], uncertainty: Mapping[str, Any]) -> str:
    return json.dumps([tta, uncertainty], sort_keys=True)


def _under_new_names(settings: str | None) -> str | None:
    """Gives settings as a run of today writes them; None where there are none."""
    if settings is None:
        return None
    tta, uncertainty = json.loads(settings)
    return _format_settings(**rename_keys({"tta": tta, "uncertainty": uncertainty}))


def _labelled(
    config: ml_collections.ConfigDict, answers: Sequence[Answered], labels: np.ndarray
) -> tuple[list[Answered], np.ndarray]:
    """Gives the answered images that have a label of their kind, and those labels."""
    is_known = np.array([not answer.error for answer in answers], bool)
    if config.data.label_kind != "numeric":
        is_known &= labels >= 0
    return [answers[row] for row in np.flatnonzero(is_known)], labels[is_known]


def _conformal_scores(
    config: ml_collections.ConfigDict, answers: Sequence[Answered], labels: np.ndarray
) -> np.ndarray:
    if not answers:
        return np.zeros(0)
    values = np.array([answer.values[config.evaluation.fusion] for answer in answers])
    if config.data.label_kind != "numeric":
        return class_scores(values, labels)
    widths = np.array([_width(config, answer) for answer in answers])
    return interval_scores(score_of(values, "numeric"), labels, widths)


def _width(config: ml_collections.ConfigDict, answer: Answered) -> float:
    """Gives what the interval of an image is proportional to."""
    if not config.uncertainty.scale_intervals:
        return 1.0
    least = _LEAST_WIDTH * (config.data.maximum - config.data.minimum)
    return uncertainty_of(config, answer) + least


def _interval(
    config: ml_collections.ConfigDict, answer: Answered, quantile: float
) -> tuple[float, float]:
    """Gives the interval of a score, higher is better, within the labels' scale."""
    score = float(score_of(answer.values[config.evaluation.fusion], "numeric"))
    reach, low, high = quantile * _width(config, answer), config.data.minimum, config.data.maximum
    lower, upper = np.clip([score - reach, score + reach], low, high)
    # A width divided out and multiplied in again must not lose a label at an end of the scale.
    rounding = 1e-9 * (high - low)
    return (
        float(low if lower - low < rounding else lower),
        float(high if high - upper < rounding else upper),
    )


def _distances(
    config: ml_collections.ConfigDict, domain: Domain, answers: Sequence[Answered]
) -> np.ndarray:
    embeddings = np.array([answer.embedding for answer in answers])
    return DISTANCES[config.uncertainty.ood](domain, embeddings)


def _mean(values) -> float | None:
    return float(np.mean(values)) if values is not None and len(values) else None
