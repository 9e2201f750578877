"""The questions to a label kind by its name."""

from iqa_jax.analysis.kinds.classes import Binary, Ordered, Unordered
from iqa_jax.analysis.kinds.numeric import Numeric
from iqa_jax.analysis.kinds.pairwise import Pairs, Ranking

_KINDS = {kind.name: kind for kind in (Binary, Ordered, Unordered, Numeric, Ranking, Pairs)}
SCORE_KINDS = tuple(name for name, kind in _KINDS.items() if not kind.has_classes)


def score_of(values, kind):
    """See `Kind.score_of`."""
    return _KINDS[kind]().score_of(values)


def written_score(values, kind, minimum, maximum, higher_is_better):
    """See `Kind.written_score`."""
    made = _KINDS[kind](minimum=minimum, maximum=maximum, higher_is_better=higher_is_better)
    return made.written_score(values)


def written_interval(lower, upper, minimum, maximum, higher_is_better):
    """Gives the ends of a numeric score's interval as `written_score` gives the score."""
    made = Numeric(minimum=minimum, maximum=maximum, higher_is_better=higher_is_better)
    return tuple(sorted(map(made.written, (lower, upper))))


def label_of(values, kind, classes, marginal="", thresholds=None):
    """See `Kind.label_of`."""
    return _KINDS[kind](classes=tuple(classes), marginal=marginal).label_of(values, thresholds)


def compute_metrics(kind, values, labels, std=None, pairs=None):
    """See `Kind.figures`."""
    return _KINDS[kind]().figures(values, labels, std=std, pairs=pairs)


def measures_for(kind, values, labels, *, mapped=None, std=None):
    """See `Kind.measures`."""
    return _KINDS[kind]().measures(values, labels, mapped=mapped, std=std)
