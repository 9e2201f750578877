"""Which figures are better where they are lower, and what they are said to mean."""

from iqa_jax.analysis.metric_table import FIGURES, LOWER_IS_BETTER


def test_errors_are_better_where_they_are_lower():
    assert set(LOWER_IS_BETTER) == {
        "log_loss", "ece", "grade_mae", "rmse", "mae", "rmse_mapped", "outlier_ratio",
    }  # fmt: skip
    assert FIGURES["mae"].meaning.endswith("; lower is better.")
    assert FIGURES["srcc"].meaning.endswith("given scores.")
    assert all(not figure.means.endswith(".") for figure in FIGURES.values())
