"""What the answers of a label kind mean: the twin of `learning.tasks`, what is learnt from it."""

from iqa_jax.analysis.kinds.classes import Binary, Ordered, Unordered
from iqa_jax.analysis.kinds.kind import Doubts, Kind
from iqa_jax.analysis.kinds.numeric import Numeric
from iqa_jax.analysis.kinds.pairwise import Pairs, Ranking

KINDS: dict[str, type[Kind]] = {
    kind.name: kind for kind in (Binary, Ordered, Unordered, Numeric, Ranking, Pairs)
}
# Before the name of a metric: of an embedding's nearest neighbours in `train`.
KNN = "knn_"


def fusions_for(kind: str, model_fusion: str) -> tuple[str, ...]:
    """Names the image-level answers that a run gives: late fusions and the network's own."""
    return (*KINDS[kind].late_fusions, model_fusion)


__all__ = ["KINDS", "KNN", "Doubts", "Kind", "fusions_for"]
