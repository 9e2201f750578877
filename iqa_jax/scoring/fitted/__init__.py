"""What is fitted after training, for one checkpoint: one file a thing, all of one shape.

Each is fitted from arrays on rows that no figure using it is reported on, written into the workdir
with the step of its checkpoint and the settings it hangs on, and read back for these alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import ml_collections

from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted import (
    calibration,
    confidence,
    detector,
    probe,
    score_maps,
    thresholds,
)


class Fitted(NamedTuple):
    """How one thing is kept.

    Attributes:
      file: its name in the workdir.
      write: `(workdir, config, step, thing)` keeps it.
      read: `(workdir, config, step)` gives it back; None if it is not there, or for another step
        or other settings. A file that is damaged is a `WorkdirError`.
    """

    file: str
    write: Callable[[Workdir, ml_collections.ConfigDict, int, Any], None]
    read: Callable[[Workdir, ml_collections.ConfigDict, int], Any]


FITTED = {
    "calibration": Fitted(
        calibration.FILE, calibration.write_calibration, calibration.read_calibration
    ),
    "thresholds": Fitted(thresholds.FILE, thresholds.write_thresholds, thresholds.read_thresholds),
    "score_maps": Fitted(score_maps.FILE, score_maps.write_score_maps, score_maps.read_score_maps),
    "confidence": Fitted(confidence.FILE, confidence.write_confidence, confidence.read_confidence),
    "detector": Fitted(detector.FILE, detector.write_detector, detector.read_detector),
    "probe": Fitted(probe.FILE, probe.write_probe, probe.read_probe),
}


def read_fitted(workdir: Workdir, config: ml_collections.ConfigDict, step: int) -> dict[str, Any]:
    """Reads all that was fitted for a step: name -> thing, None where there is none.

    Raises:
      WorkdirError: a file is damaged, or there is no probe and nothing answers without.
    """
    return {name: one.read(workdir, config, step) for name, one in FITTED.items()}
