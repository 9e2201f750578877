"""What figures of merit are called and mean, and in which direction they are better.

A figure is named here once. Which of them a label kind has is said in `kinds`; how they are
computed in `weighted_metrics`, for all rows and for draws of a bootstrap.
"""

from typing import NamedTuple


class Figure(NamedTuple):
    """A figure as people meet it.

    Attributes:
        heading: of its column or row.
        means: what it says, for people who meet it for the first time, without a full stop.
        is_lower_better: whether it counts errors.
    """

    heading: str
    means: str
    is_lower_better: bool = False

    @property
    def meaning(self) -> str:
        """What it says, as a sentence, with its direction where that is not the usual one."""
        return f"{self.means}{'; lower is better' if self.is_lower_better else ''}."


FIGURES: dict[str, Figure] = {
    "n": Figure("images", "Images that the figures are computed from"),
    "n_good": Figure("good images", "Good images among them"),
    "auroc": Figure("AUROC", "Chance that a good image scores above a bad one; 0.5 is guessing"),
    "auprc": Figure("AUPRC", "Precision of the answer good, averaged over its recall"),
    "accuracy": Figure("accuracy", "Share of images given their own class"),
    "balanced_accuracy": Figure(
        "balanced accuracy",
        "Share of a class that is found, averaged over the classes, so that sizes do not matter",
    ),
    "f1": Figure("F1", "Harmonic mean of precision and recall of the answer good"),
    "macro_f1": Figure(
        "macro F1", "Harmonic mean of precision and recall, averaged over the classes"
    ),
    "log_loss": Figure(
        "log loss", "Mean surprise at the true class, in nats", is_lower_better=True
    ),
    "ece": Figure(
        "ECE",
        "Expected calibration error: how far confidence is from the share of right answers",
        is_lower_better=True,
    ),
    "quadratic_kappa": Figure(
        "quadratic kappa", "Agreement beyond chance, where far-off grades cost more; 1 is perfect"
    ),
    "grade_mae": Figure(
        "grade error", "Mean distance from the true grade, in grades", is_lower_better=True
    ),
    "srcc": Figure("SRCC", "Spearman's rank correlation of predicted and given scores"),
    "krcc": Figure("KRCC", "Kendall's rank correlation (tau-b) of predicted and given scores"),
    "plcc": Figure("PLCC", "Pearson's correlation of predicted and given scores, nothing fitted"),
    "rmse": Figure("RMSE", "Root mean squared error, in units of the score", is_lower_better=True),
    "mae": Figure("MAE", "Mean absolute error, in units of the score", is_lower_better=True),
    "outlier_ratio": Figure(
        "outlier ratio",
        "Share of predictions more than two standard deviations of the opinions off",
        is_lower_better=True,
    ),
    "plcc_mapped": Figure("PLCC, mapped", "Pearson's correlation after a curve fitted on train"),
    "rmse_mapped": Figure(
        "RMSE, mapped", "Root mean squared error after the same", is_lower_better=True
    ),
    "pair_accuracy": Figure(
        "pair accuracy", "Share of the pairs in the right order; 0.5 is guessing"
    ),
    "unseen_pair_accuracy": Figure(
        "unseen pair accuracy", "The same of kinds of distortion that were not trained on"
    ),
    "pixel_auc": Figure(
        "pixel AUC", "Chance that a pixel of the bad region is more relevant than one outside it"
    ),
    "pointing_game": Figure(
        "pointing game", "Share of images whose most relevant pixel is in the bad region"
    ),
}
LOWER_IS_BETTER = tuple(name for name, figure in FIGURES.items() if figure.is_lower_better)
