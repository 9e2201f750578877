"""The colours of the report, told apart by colour-blind readers on light and dark grounds."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.colors import to_hex

# After Okabe & Ito 2008: mid-tone, to show on both grounds.
SERIES = ("#d55e00", "#8a8f98", "#2f8fd3", "#009e73", "#cc79a7", "#a88400")
_SCORE_MAP = matplotlib.colormaps["RdYlBu"]


def score_colours(scores: Float[np.ndarray, " n"], score_range: tuple[float, float]) -> list[str]:
    """Colours scores from red (worst) over yellow to blue (best), safe for colour-blind readers.

    Args:
        scores: scores, taken as the nearest end where they are off the scale.
        score_range: the worst and the best, the ends of the scale; worst may be the higher.

    Returns:
        One `#rrggbb` per score.
    """
    worst, best = score_range
    shares = np.clip((np.asarray(scores, dtype=float) - worst) / (best - worst), 0, 1)
    return [to_hex(_SCORE_MAP(share)) for share in shares]


def colour_stops() -> list[str]:
    """Lists the colours of the score scale from worst to best, evenly spaced."""
    return score_colours(np.linspace(0, 1, 9), (0, 1))


def series_colours(names: Sequence[str]) -> dict[str, str]:
    """Gives each name a colour of the series, the first again after the last."""
    return {name: SERIES[number % len(SERIES)] for number, name in enumerate(names)}
