"""What an answer of one number means, whatever the labels it was learnt from."""

import numpy as np

from iqa_jax.analysis.kinds.kind import Kind
from iqa_jax.analysis.uncertainty import spread


class Scores(Kind):
    """An answer is one score, higher is better."""

    late_fusions = ("mean_score",)  # A vote needs classes.

    def score_of(self, values):
        return values[..., 0]

    def label_of(self, values, thresholds=None):
        return ""

    def uncertainty(self, values, samples, views):
        """Gives the standard deviation over passes and views; None with one of each."""
        parts = [
            spread(self.score_of(part))
            for part in (samples, views)
            if part is not None and len(part) > 1
        ]
        return float(np.hypot.reduce(parts)) if parts else None
