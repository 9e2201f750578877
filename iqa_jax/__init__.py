"""No-reference image quality from tiles.

scorer = iqa_jax.load_scorer("runs/quickstart")
scorer.score(["photo.jpg"])
iqa_jax.load_explainer("runs/quickstart").explain("photo.jpg").maps.grad_cam
"""

from typing import TYPE_CHECKING

from iqa_jax.own_packages import use_own_packages

__all__ = ["load_explainer", "load_scorer"]

# Before any module of this package imports them.
use_own_packages()

if TYPE_CHECKING:
    from iqa_jax.scoring.image_explainer import load_explainer
    from iqa_jax.scoring.quality_scorer import load_scorer


def __getattr__(name: str):
    # JAX and the rest load with the first use, so that `main.py --help` answers at once.
    if name == "load_scorer":
        from iqa_jax.scoring.quality_scorer import load_scorer

        return load_scorer
    if name == "load_explainer":
        from iqa_jax.scoring.image_explainer import load_explainer

        return load_explainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
