"""What is fitted after training, for one checkpoint: one file a thing, all of one shape.

Each is fitted from arrays on rows that no figure using it is reported on, written into the workdir
with the step of its checkpoint and the settings it hangs on, and read back for these alone.
"""

import dataclasses
from typing import Any

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
from iqa_jax.scoring.fitted.calibration import read_calibration
from iqa_jax.scoring.fitted.confidence import (
    ConfidenceSettings,
    confidence_settings_from_config,
    read_confidence,
)
from iqa_jax.scoring.fitted.detector import (
    DetectorSettings,
    detector_settings_from_config,
    read_detector,
)
from iqa_jax.scoring.fitted.probe import ProbeSettings, probe_settings_from_config, read_probe
from iqa_jax.scoring.fitted.score_maps import read_score_maps
from iqa_jax.scoring.fitted.thresholds import read_thresholds

# Where a workdir keeps them.
FILES = tuple(
    module.FILE for module in (calibration, confidence, detector, probe, score_maps, thresholds)
)


@dataclasses.dataclass(frozen=True)
class FittedSettings:
    """What the things hang on that are fitted for a run; what has none hangs on the step alone.

    Attributes:
        confidence: of what says how far to trust an answer, and with it what an answer means.
        detector: of anomalous tiles; None for a run without.
        probe: None for a run whose network answers by itself.
    """

    confidence: ConfidenceSettings
    detector: DetectorSettings | None
    probe: ProbeSettings | None


def fitted_settings_from_config(config: ml_collections.ConfigDict) -> FittedSettings:
    """Says what the things hang on that are fitted for a run."""
    return FittedSettings(
        confidence_settings_from_config(config),
        detector_settings_from_config(config),
        probe_settings_from_config(config),
    )


def read_fitted(workdir: Workdir, step: int, settings: FittedSettings) -> dict[str, Any]:
    """Reads all that was fitted for a step: name -> thing.

    None is what was not fitted for this step, or for other settings. Scores have no calibration,
    and that is nothing that a run lacks: their maps are an empty dict.

    Raises:
        WorkdirError: a file is damaged, or there is no probe and nothing answers without.
    """
    has_classes = settings.confidence.kind.has_classes
    return {
        "calibration": read_calibration(workdir, step) if has_classes else {},
        "thresholds": read_thresholds(workdir, step),
        "score_maps": read_score_maps(workdir, step),
        "confidence": read_confidence(workdir, step, settings.confidence),
        "detector": read_detector(workdir, step, settings.detector),
        "probe": read_probe(workdir, step, settings.probe),
    }
