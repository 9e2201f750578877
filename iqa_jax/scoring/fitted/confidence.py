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

from iqa_jax.analysis.conformal import conformal_quantile, rows_needed
from iqa_jax.analysis.kinds import Kind
from iqa_jax.analysis.ood import DISTANCES, Domain, fit_domain
from iqa_jax.host.progress import meter, say
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.renamed import rename_keys
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
# an image on which all samples happen to agree from an interval of no width.
_LEAST_WIDTH = 0.01


@dataclasses.dataclass(frozen=True)
class ConfidenceSettings:
    """What it hangs on how far an answer can be trusted.

    Attributes:
        kind: what the answers mean.
        headline: the fusion whose answers are judged.
        split: whose images the quantiles are fitted on.
        coverage: of intervals and class sets.
        scale_intervals: they are as wide as samples and views differ.
        ood: the distance to the training images, or none.
        ood_quantile: of the split's distances; beyond it an image is called new.
        ood_images: training images that the distance is fitted on, at most.
        seed: of the choice of these.
        fitted_for: the keys of `tta` and `uncertainty` as JSON; what is fitted is read back for
            these alone.
    """

    kind: Kind
    headline: str
    split: str
    coverage: float
    scale_intervals: bool
    ood: str
    ood_quantile: float
    ood_images: int
    seed: int
    fitted_for: str


def confidence_settings_from_config(config: ml_collections.ConfigDict) -> ConfidenceSettings:
    """Says what it hangs on how far the answers of a run can be trusted."""
    uncertainty = config.uncertainty
    return ConfidenceSettings(
        kind=kind_from_config(config),
        headline=config.evaluation.fusion,
        split=uncertainty.split,
        coverage=uncertainty.coverage,
        scale_intervals=uncertainty.scale_intervals,
        ood=uncertainty.ood,
        ood_quantile=uncertainty.ood_quantile,
        ood_images=uncertainty.ood_images,
        seed=config.seed,
        fitted_for=_format_settings(config.tta.to_dict(), uncertainty.to_dict()),
    )


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


def uncertainty_of(kind: Kind, headline: str, answer: Answered) -> float | None:
    """Gives how unsure the headline answer of an image is.

    Args:
        kind: what the answer means.
        headline: the fusion that is asked.
        answer: without error, calibrated.

    Returns:
        Classes: the entropy of the answer, or of the mean over samples (nats). Scores: the standard
        deviation over samples and views, on the labels' scale; None with one of each.
    """
    return kind.uncertainty(answer.values[headline], answer.samples, answer.views)


def confidence_row(
    settings: ConfidenceSettings, answer: Answered, confidence: Confidence
) -> dict[str, Any]:
    """Gives the columns of `COLUMNS` for one image; None where one is not defined.

    Classes alone have `mutual_information` (part of the uncertainty that the samples disagree on)
    and `abstain` (the class set holds none or several); numeric labels alone `lower` and `upper`.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    if answer.error:
        return row
    kind, values = settings.kind, answer.values[settings.headline]
    row["uncertainty"] = uncertainty_of(kind, settings.headline, answer)
    row["mutual_information"] = kind.disagreement(answer.samples)
    if confidence.quantile is not None:
        row |= kind.promise(values, confidence.quantile, _width(settings, answer))
    if confidence.domain is not None and confidence.ood_limit is not None:
        distance = _distances(settings, confidence.domain, [answer])[0]
        row["ood"] = bool(distance > confidence.ood_limit)
    return row


def confidence_metrics(
    settings: ConfidenceSettings,
    answers: Sequence[Answered],
    labels: np.ndarray,
    confidence: Confidence,
) -> dict[str, float | None]:
    """Measures on rows that nothing was fitted on whether intervals and sets keep their promise.

    Args:
        settings: of the run.
        answers: of a split.
        labels: of its images; negative ones are no class.
        confidence: what is fitted.

    Returns:
        `coverage`: share of images whose interval or class set holds the label. numeric:
        `interval_width`, on average. Classes: `abstained`, share of images. `out_of_domain`, share
        of images. None where undefined; where pairs are compared, the last alone.
    """
    kind, quantile = settings.kind, confidence.quantile
    rows = [confidence_row(settings, answer, confidence) for answer in answers if not answer.error]
    good, known = _labelled(kind, answers, labels)
    covered = None
    if quantile is not None and good:
        values, widths = _values(settings, good), _widths(settings, good)
        covered = kind.holds_label(values, known, quantile, widths)
    figures = {"coverage": _mean(covered)} if kind.promised else {}
    figures |= {name: _mean(parts) for name, parts in kind.promise_figures(rows).items()}
    figures["out_of_domain"] = _mean([row["ood"] for row in rows if row["ood"] is not None])
    return figures


def fit_confidence(
    settings: ConfidenceSettings,
    answers: Sequence[Answered],
    images: pd.DataFrame,
    train_ids: Sequence[int],
    score: Callable[[Sequence[int]], Iterator[Answered]],
) -> Confidence:
    """Fits what the columns need, and says what the rows do not suffice for.

    Args:
        settings: of the run.
        answers: of the images of `uncertainty.split`.
        images: the manifest's rows of them.
        train_ids: images of the split `train`.
        score: answers images, by image_id.
    """
    quantile = _fit_quantile(settings, answers, images)
    if settings.ood == "none":
        return Confidence(quantile)
    domain = _fit_domain(settings, train_ids, score)
    if domain is None:
        return Confidence(quantile)
    answered = [answer for answer in answers if not answer.error]
    distances = _distances(settings, domain, answered) if answered else np.zeros(0)
    limit = conformal_quantile(distances, settings.ood_quantile)
    if limit is None:
        say(
            f"ood: undefined, {settings.split} has {len(answered)} images and a quantile of "
            f"{settings.ood_quantile:g} needs {rows_needed(settings.ood_quantile)}"
        )
    return Confidence(quantile, domain, limit)


def _fit_quantile(
    settings: ConfidenceSettings, answers: Sequence[Answered], images: pd.DataFrame
) -> float | None:
    """Fits the quantile of the conformal scores, and says what its promise is good for."""
    good, known = _labelled(settings.kind, answers, images["label"].to_numpy())
    coverage = settings.coverage
    quantile = conformal_quantile(_conformal_scores(settings, good, known), coverage)
    # Where pairs are compared, an image alone has no label that an interval could hold.
    promised = settings.kind.promised
    if quantile is None and promised:
        say(
            f"{', '.join(promised)}: undefined, {settings.split} has {len(good)} labelled "
            f"images and a coverage of {coverage:g} needs {rows_needed(coverage)}"
        )
    elif promised and (groups := images["group"].nunique()) < rows_needed(coverage):
        say(
            f"the {len(images)} images of {settings.split} are of {groups} groups: a coverage "
            f"of {coverage:g} holds for images of these groups, not of new ones"
        )
    return quantile


def _fit_domain(
    settings: ConfidenceSettings,
    train_ids: Sequence[int],
    score: Callable[[Sequence[int]], Iterator[Answered]],
) -> Domain | None:
    """Fits the domain of the training images, and says if they do not suffice for one."""
    known_ids = np.asarray(train_ids)
    if len(known_ids) > settings.ood_images:
        rng = np.random.default_rng(settings.seed)
        known_ids = np.sort(rng.choice(known_ids, settings.ood_images, replace=False))
    embeddings = []
    with meter("embedding train", len(known_ids)) as progress:
        for done, answer in enumerate(score(known_ids.tolist()), start=1):
            embeddings += [] if answer.error else [answer.embedding]
            progress.update(done)
    try:
        return fit_domain(np.array(embeddings))
    except ValueError as error:
        say(f"ood: undefined. {error}")
        return None


def write_confidence(
    workdir: Workdir, step: int, settings: ConfidenceSettings, confidence: Confidence
) -> None:
    """Keeps what was fitted for a step in the workdir; the file appears whole."""
    about = {
        "step": step,
        **_fitted_for(workdir, step, settings),
        "quantile": confidence.quantile,
        "ood_limit": confidence.ood_limit,
    }
    arrays = dataclasses.asdict(confidence.domain) if confidence.domain else {}
    workdir.write_arrays(FILE, about, arrays)


def read_confidence(workdir: Workdir, step: int, settings: ConfidenceSettings) -> Confidence | None:
    """Reads what was fitted; None if it is not there, or for another step or other settings."""
    wanted = {"step": step, **_fitted_for(workdir, step, settings)}
    # Those of an older workdir may be called otherwise.
    fitted_for = wanted.pop("settings")
    found = workdir.read_arrays(FILE, wanted)
    if found is None or _under_new_names(found[0].get("settings")) != fitted_for:
        return None
    about, arrays = found
    domain = Domain(**arrays) if arrays else None
    return Confidence(about["quantile"], domain, about["ood_limit"])


def _fitted_for(workdir: Workdir, step: int, settings: ConfidenceSettings) -> dict[str, Any]:
    """Says what fitted values depend on and a later start may change."""
    return {"settings": settings.fitted_for, "calibration": workdir.fitted(CALIBRATION, step)}


def _format_settings(tta: Mapping[str, Any], uncertainty: Mapping[str, Any]) -> str:
    return json.dumps([tta, uncertainty], sort_keys=True)


def _under_new_names(settings: str | None) -> str | None:
    """Gives settings as a run of today writes them; None where there are none."""
    if settings is None:
        return None
    tta, uncertainty = json.loads(settings)
    return _format_settings(**rename_keys({"tta": tta, "uncertainty": uncertainty}))


def _labelled(
    kind: Kind, answers: Sequence[Answered], labels: np.ndarray
) -> tuple[list[Answered], np.ndarray]:
    """Gives the answered images that have a label of their kind, and those labels."""
    is_known = np.array([not answer.error for answer in answers], bool)
    is_known &= kind.is_labelled(labels)
    return [answers[row] for row in np.flatnonzero(is_known).tolist()], labels[is_known]


def _conformal_scores(
    settings: ConfidenceSettings, answers: Sequence[Answered], labels: np.ndarray
) -> np.ndarray:
    if not answers:
        return np.zeros(0)
    values, widths = _values(settings, answers), _widths(settings, answers)
    return settings.kind.conformal_scores(values, labels, widths)


def _values(settings: ConfidenceSettings, answers: Sequence[Answered]) -> np.ndarray:
    return np.array([answer.values[settings.headline] for answer in answers])


def _widths(settings: ConfidenceSettings, answers: Sequence[Answered]) -> np.ndarray:
    return np.array([_width(settings, answer) for answer in answers])


def _width(settings: ConfidenceSettings, answer: Answered) -> float:
    """Gives what the interval of an image is proportional to."""
    kind = settings.kind
    if not settings.scale_intervals:
        return 1.0
    least = _LEAST_WIDTH * (kind.maximum - kind.minimum)
    return (uncertainty_of(kind, settings.headline, answer) or 0.0) + least


def _distances(
    settings: ConfidenceSettings, domain: Domain, answers: Sequence[Answered]
) -> np.ndarray:
    embeddings = np.array([answer.embedding for answer in answers])
    return DISTANCES[settings.ood](domain, embeddings)


def _mean(values) -> float | None:
    return float(np.mean(values)) if values is not None and len(values) else None
