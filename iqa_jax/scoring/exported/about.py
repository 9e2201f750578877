"""What the caller of an exported scorer must know: how to cut an image, what its score means."""

from typing import Any

import ml_collections

from iqa_jax.scoring.trained_run import TrainedRun


def about_from_config(config: ml_collections.ConfigDict, run: TrainedRun) -> dict[str, Any]:
    """Says what comes before and after the network.

    Args:
        config: of the run.
        run: opened.

    Returns:
        Plain values: `purpose`, a sentence; `label`, what the answers mean; `tiles`, how an image
        is cut; `views`, looks at an image over which the caller averages (`tta`), the first the
        image as it is; `fusion` of the score; `networks` that it is the mean of; whether it
        `is_calibrated`; the `step` of the checkpoint.
    """
    kind, tiles = run.kind, config.tiles
    return {
        "format": "iqa_jax scorer 1",
        "purpose": kind.purpose,
        "label": {"kind": kind.name} | {name: getattr(kind, name) for name in kind.asks},
        "tiles": {
            "color": "sRGB, 8 bits",
            **{key: tiles[key] for key in ("size", "stride", "edge", "shrink", "reference_side")},
        },
        "views": [view._asdict() for view in run.views],
        "fusion": run.headline,
        "networks": 1 + len(run.members),
        "is_calibrated": run.headline in (run.calibration or {}),
        "step": run.step,
    }
