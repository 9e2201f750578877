"""What answers mean that were learnt from which of two images is better."""

from typing import ClassVar

from iqa_jax.analysis.kinds.scores import Scores
from iqa_jax.analysis.pair_metrics import pair_accuracy, pair_measure


class Pairwise(Scores):
    """An answer is a score of which only differences mean something; it has no ends."""

    asks = ()
    metrics = ("pair_accuracy",)
    is_of_pairs = True
    figure_names: ClassVar[tuple[str, ...]] = metrics
    learnt: ClassVar[str]

    @property
    def purpose(self):
        return (
            "Gives a photograph a score without a reference image, higher is better. It learnt it "
            f"{self.learnt}, so only differences of scores mean something."
        )

    def figures(self, values, labels, *, std=None, pairs=None):
        assert pairs is not None, "images of this kind are judged by pairs alone"
        scores, named = self.score_of(values), self._pairs_by_figure(pairs)
        return {"n": len(scores), "pairs": len(pairs)} | {
            name: pair_accuracy(scores, ends) for name, ends in named.items()
        }

    def measures(self, values, labels, *, mapped=None, std=None, pairs=None):
        scores, named = self.score_of(values), self._pairs_by_figure(pairs)
        return {name: pair_measure(scores, ends) for name, ends in named.items()}

    def _pairs_by_figure(self, pairs):
        """Gives the pairs that each figure is over: [pair, 2] better and worse."""
        ends = pairs[["better", "worse"]].to_numpy()
        return {name: ends[(pairs["figure"] == name).to_numpy()] for name in self.figure_names}


class Ranking(Pairwise):
    """Degraded versions of clean photographs, of which fewer are better."""

    name = "ranking"
    makes_versions = True
    # Nothing is chosen by the second.
    figure_names = (*Pairwise.metrics, "unseen_pair_accuracy")
    learnt = "to rank degraded versions of clean photographs"


class Pairs(Pairwise):
    """Pairs of which people preferred one."""

    name = "pairs"
    learnt = "from which of two images people preferred"
