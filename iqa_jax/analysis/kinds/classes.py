"""What probabilities of classes mean: binary labels, grades, and classes without an order."""

import abc

import numpy as np

from iqa_jax.analysis.conformal import class_scores, class_sets
from iqa_jax.analysis.kinds.kind import Doubts, Kind
from iqa_jax.analysis.late_fusion import most_probable, three_class
from iqa_jax.analysis.metrics import binary_metrics, class_metrics
from iqa_jax.analysis.uncertainty import entropy, mutual_information, predictive_entropy
from iqa_jax.analysis.weighted_metrics import Measure, binary_measures, class_measures

# A label that the scorer gives less than this is to be checked.
_IMPROBABLE = 0.05


class Classes(Kind):
    """An answer is a probability per class. Labels are class indices, -1 for none of them."""

    asks = ("column", "classes")
    late_fusions = ("mean_score", "vote")
    has_classes = True
    promised = ("abstain",)
    evidence_name = "Probability of the label"
    doubtful = (
        f"Images whose given label has a probability below {100 * _IMPROBABLE:g} % for the scorer"
    )

    @property
    def score_range(self):
        return 0.0, 1.0

    def label_of(self, values, thresholds=None):
        return self.classes[int(most_probable(values))]

    def probabilities(self, values):
        return {f"p_{name}": float(p) for name, p in zip(self.classes, values, strict=True)}

    def count_labels(self, labels, texts):
        return {name: int((texts == name).sum()) for name in self.label_names}

    def read_table(self, table):
        values = table[[f"p_{name}" for name in self.classes]].to_numpy(np.float64)
        numbers = {name: number for number, name in enumerate(self.classes)}
        return values, np.array([numbers.get(label, -1) for label in table["label"]])

    def figures(self, values, labels, *, std=None, pairs=None):
        is_labelled = self.is_labelled(labels)
        return self._figures(values[is_labelled], labels[is_labelled])

    def measures(self, values, labels, *, mapped=None, std=None, pairs=None):
        is_labelled = self.is_labelled(labels)
        measures = self._measures(values[is_labelled], labels[is_labelled])
        if is_labelled.all():
            return measures

        def among_labelled(measure: Measure) -> Measure:
            return lambda weights: measure(weights[is_labelled])

        return {name: among_labelled(measure) for name, measure in measures.items()}

    @abc.abstractmethod
    def _figures(self, values, labels): ...

    @abc.abstractmethod
    def _measures(self, values, labels) -> dict[str, Measure]: ...

    def uncertainty(self, values, samples, views):
        """Gives the entropy of the answer, or of the mean over passes (nats)."""
        return float(entropy(values) if samples is None else predictive_entropy(samples))

    def disagreement(self, samples):
        return None if samples is None else float(mutual_information(samples))

    def conformal_scores(self, values, labels, widths):
        return class_scores(values, labels)

    def promise(self, values, quantile, width):
        """Says whether to abstain: the class set holds none or several."""
        return {"abstain": bool(class_sets(values, quantile).sum() != 1)}

    def holds_label(self, values, labels, quantile, widths):
        return class_sets(values, quantile)[np.arange(len(values)), labels]

    def promise_figures(self, rows):
        return {"abstained": [row["abstain"] for row in rows if row["abstain"] is not None]}

    def mistakes(self, values, labels):
        """Gives the distance of images that are called another class than their own."""
        is_wrong = (most_probable(values) != labels) & self.is_labelled(labels)
        return np.where(is_wrong, self._distances(values, labels), 0)

    def _distances(self, values, labels):
        return 1 - _probability_of(values, labels)

    def doubts(self, values, labels):
        own = _probability_of(values, labels)
        return Doubts(own, own, np.flatnonzero(own < _IMPROBABLE))


def _probability_of(values, labels):
    """Gives the probability of each image's own class; NaN where it is none of them."""
    labels = labels.astype(int)
    own = values[np.arange(len(labels)), np.maximum(labels, 0)]
    return np.where(labels >= 0, own, np.nan)


class _Ordered(Classes):
    """Classes from the worst to the best: a score is the expected grade, on [0, 1]."""

    def score_of(self, values):
        return np.asarray(values @ np.linspace(0, 1, values.shape[-1]))


class Binary(_Ordered):
    """Bad and good images, and maybe marginal ones, whose label is -1. A score is P(good)."""

    name = "binary"
    asks = (*Classes.asks, "marginal")
    metrics = ("auroc", "auprc", "accuracy", "balanced_accuracy", "f1", "log_loss", "ece")
    is_undefined_on_one_label = True

    @property
    def label_names(self):
        if not self.marginal:
            return self.classes
        return (self.classes[0], self.marginal, self.classes[1])

    @property
    def purpose(self):
        third = ""
        if self.marginal:
            third = f" Between two thresholds fitted on val it answers {self.marginal}."
        return (
            f"Tells {self.classes[0]} photographs from {self.classes[1]} ones without a reference "
            f"image; its score is the probability of {self.classes[1]}.{third}"
        )

    def label_of(self, values, thresholds=None):
        if thresholds is None:
            return super().label_of(values)
        names = (self.classes[0], self.marginal, self.classes[1])
        return names[int(three_class(self.score_of(values)[None], *thresholds)[0])]

    def _figures(self, values, labels):
        return binary_metrics(self.score_of(values), labels)

    def _measures(self, values, labels):
        return binary_measures(self.score_of(values), labels)


class Ordered(_Ordered):
    """Grades."""

    name = "ordered"
    metrics = (
        *("accuracy", "balanced_accuracy", "macro_f1", "quadratic_kappa", "grade_mae"),
        *("log_loss", "ece"),
    )
    is_graded = True

    @property
    def purpose(self):
        names = ", ".join(self.classes)
        return f"Grades a photograph without a reference image, lowest quality first: {names}."

    def _figures(self, values, labels):
        return class_metrics(values, labels, is_ordered=True)

    def _measures(self, values, labels):
        return class_measures(values, labels, is_ordered=True)

    def _distances(self, values, labels):
        return np.abs(self.score_of(values) - labels.astype(float) / (values.shape[-1] - 1))


class Unordered(Classes):
    """Names without an order: a score is the probability of the most probable class."""

    name = "unordered"
    metrics = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece")
    has_order = False

    @property
    def purpose(self):
        return f"Puts a photograph into one of the classes {', '.join(self.classes)}."

    def score_of(self, values):
        return np.asarray(values.max(axis=-1))

    def _figures(self, values, labels):
        return class_metrics(values, labels, is_ordered=False)

    def _measures(self, values, labels):
        return class_measures(values, labels, is_ordered=False)
