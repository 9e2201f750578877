"""What answers to opinion scores mean."""

import numpy as np

from iqa_jax.analysis.conformal import interval_scores
from iqa_jax.analysis.kinds.kind import Doubts
from iqa_jax.analysis.kinds.scores import Scores
from iqa_jax.analysis.metrics import score_metrics
from iqa_jax.analysis.weighted_metrics import score_measures

# A score further off than so many robust standard deviations is to be checked (Iglewicz and
# Hoaglin 1993).
_FAR_OFF = 3.5


class Numeric(Scores):
    """An answer is a score on the declared scale of the labels."""

    name = "numeric"
    asks = ("column", "minimum", "maximum", "higher_is_better")
    metrics = ("srcc", "krcc", "plcc", "rmse", "mae")
    has_scale = True
    is_undefined_on_one_label = True
    promised = ("lower", "upper")
    evidence_name = "Deviations"
    doubtful = (
        f"Images whose score is off from the given one by more than {_FAR_OFF:g} robust standard "
        "deviations (1.4826 × the median distance) beyond the split's median error"
    )

    @property
    def purpose(self):
        return (
            "Gives a photograph a score without a reference image, on the scale of the column "
            f"{self.column}, {self.minimum:g} to {self.maximum:g}; "
            f"{'higher' if self.higher_is_better else 'lower'} is better."
        )

    def written(self, scores):
        """Turns scores between "higher is better" and the direction of the label column."""
        return scores if self.higher_is_better else self.minimum + self.maximum - scores

    def written_score(self, values):
        return np.asarray(self.written(self.score_of(values)))

    def shown_label(self, label, text):
        # Scores beside it are higher-is-better; so is this, whatever the manifest's direction.
        return f"{label:g}"

    def is_labelled(self, labels):
        return np.ones(len(labels), bool)

    def count_labels(self, labels, texts):
        labels = self.written(labels.astype(float))
        return {
            "lowest label": float(labels.min()),
            "median label": float(np.median(labels)),
            "highest label": float(labels.max()),
        }

    def read_table(self, table):
        scores, labels = (table[name].to_numpy(np.float64) for name in ("score", "label"))
        return self.written(scores)[:, None], self.written(labels)

    def figures(self, values, labels, *, std=None, pairs=None):
        return score_metrics(self.score_of(values), labels, std)

    def measures(self, values, labels, *, mapped=None, std=None, pairs=None):
        return score_measures(self.score_of(values), labels, mapped=mapped, std=std)

    def conformal_scores(self, values, labels, widths):
        return interval_scores(self.score_of(values), labels, widths)

    def interval(self, values, quantile: float, width: float) -> tuple[float, float]:
        """Gives the interval of one image's score, higher is better, within the scale."""
        low, high = self.minimum, self.maximum
        score, reach = float(self.score_of(values)), quantile * width
        lower, upper = np.clip([score - reach, score + reach], low, high)
        # A width divided out and multiplied in again must not lose a label at an end of the scale.
        rounding = 1e-9 * (high - low)
        return (
            float(low if lower - low < rounding else lower),
            float(high if high - upper < rounding else upper),
        )

    def promise(self, values, quantile, width):
        """Gives the ends of the interval in the direction of the label column."""
        lower, upper = sorted(map(self.written, self.interval(values, quantile, width)))
        return {"lower": lower, "upper": upper}

    def holds_label(self, values, labels, quantile, widths):
        found = zip(values, widths, strict=True)
        lower, upper = np.transpose([self.interval(one, quantile, width) for one, width in found])
        return (lower <= labels) & (labels <= upper)

    def promise_figures(self, rows):
        widths = [row["upper"] - row["lower"] for row in rows if row["lower"] is not None]
        return {"interval_width": widths}

    def mistakes(self, values, labels):
        return np.abs(self.score_of(values) - labels.astype(float))

    def doubts(self, values, labels):
        error = self.score_of(values) - labels
        centred = error - np.median(error)
        deviation = 1.4826 * np.median(np.abs(centred))
        evidence = np.abs(centred) / deviation if deviation > 0 else np.zeros(len(error))
        return Doubts(evidence, -evidence, np.flatnonzero(evidence > _FAR_OFF))
