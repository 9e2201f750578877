"""Colours say what is good, also to readers who take red for green."""

import numpy as np
from matplotlib.colors import to_rgb

from iqa_jax.reporting.pages.colours import SERIES, colour_stops, score_colours, series_colours


def test_the_worst_is_red_and_the_best_is_blue_whatever_the_scale():
    worst, middle, best = map(to_rgb, score_colours(np.array([1.0, 3.0, 5.0]), (1, 5)))
    assert worst[0] > 2 * worst[2] and best[2] > 2 * best[0]
    assert min(middle[:2]) > 0.9 > middle[2]  # Yellow.
    assert score_colours(np.array([0.0, 50.0, 100.0]), (0, 100)) == score_colours(
        np.array([1.0, 3.0, 5.0]), (1, 5)
    )


def test_off_the_scale_is_its_nearest_end():
    assert score_colours(np.array([-9.0, 9.0]), (0, 1)) == score_colours(
        np.array([0.0, 1.0]), (0, 1)
    )
    stops = colour_stops()
    assert stops[::8] == score_colours(np.array([0.0, 1.0]), (0, 1)) and len(stops) == 9


def test_names_have_colours_of_their_own_and_the_first_again_after_the_last():
    names = [f"class {number}" for number in range(len(SERIES) + 1)]
    colours = series_colours(names)
    assert len({*map(colours.get, names[:-1])}) == len(SERIES)
    assert colours[names[-1]] == colours[names[0]] == SERIES[0]
