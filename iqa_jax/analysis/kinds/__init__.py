"""What the answers of a label kind mean."""

from iqa_jax.analysis.kinds.kind import SCORE_KINDS

LATE_FUSIONS = dict.fromkeys(SCORE_KINDS, ("mean_score",))  # A vote needs classes.
METRICS = {
    "binary": ("auroc", "auprc", "accuracy", "balanced_accuracy", "f1", "log_loss", "ece"),
    "ordered": (
        "accuracy", "balanced_accuracy", "macro_f1", "quadratic_kappa", "grade_mae", "log_loss",
        "ece",
    ),
    "unordered": ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece"),
    "numeric": ("srcc", "krcc", "plcc", "rmse", "mae"),
    "ranking": ("pair_accuracy",),  # Nothing is chosen by unseen_pair_accuracy.
    "pairs": ("pair_accuracy",),
}  # fmt: skip
LOWER_IS_BETTER = (
    "log_loss", "ece", "grade_mae", "rmse", "mae", "rmse_mapped", "outlier_ratio",
)  # fmt: skip
# Before the name of a metric: of an embedding's nearest neighbours in `train`.
KNN = "knn_"


def fusions_for(kind: str, model_fusion: str) -> tuple[str, ...]:
    """Names the image-level answers that a run gives: late fusions and the network's own."""
    return (*LATE_FUSIONS.get(kind, ("mean_score", "vote")), model_fusion)
