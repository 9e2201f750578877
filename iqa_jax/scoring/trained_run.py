"""A trained run, opened once: all that its answers hang on, as values."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import ml_collections

from input_pipeline.tiles.features import COMPUTED, FeatureTable
from input_pipeline.tiles.views import View
from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.analysis.detectors import Detector
from iqa_jax.analysis.kernel_ridge import KernelRidge
from iqa_jax.analysis.kinds import Kind
from iqa_jax.analysis.linear_probe import Probe
from iqa_jax.analysis.logistic import ScoreMap
from iqa_jax.run import build
from iqa_jax.run.config import headline_metric
from iqa_jax.run.variables import restore_trained
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.ensemble import load_members
from iqa_jax.scoring.fitted import FittedSettings, fitted_settings_from_config, read_fitted
from iqa_jax.scoring.fitted.confidence import Confidence
from iqa_jax.scoring.fitted.probe import with_probe
from iqa_jax.scoring.networks import Member


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedRun:
    """One checkpoint of a run and what was fitted for it: predict, explain and evaluate ask this.

    Of what is fitted, None is what was not fitted for this checkpoint, or not with its settings.

    Attributes:
        name: what sentences call it: its workdir.
        settings: what is fitted hangs on these.
        fusion: name of the network's own fusion.
        metric: figure that the run is judged by.
        views: looks at an image whose answers are averaged.
        variables: parameters and statistics that answer; a probe is in them.
        step: of the checkpoint.
        features: scaling of the hand-crafted features.
        members: networks that answer beside its own.
        calibration: maps of the answers, by fusion.
        thresholds: low and high score of the three-class answer.
        score_maps: from scores to labels, by fusion.
        confidence: what says how far to trust an answer.
        detector: of anomalous tiles.
        probe: what is fitted on embeddings.
    """

    name: str
    settings: FittedSettings
    fusion: str
    metric: str
    views: tuple[View, ...]
    variables: Any
    step: int
    features: FeatureTable
    members: Sequence[Member] = ()
    calibration: Mapping[str, CalibrationMap] | None = None
    thresholds: tuple[float, float] | None = None
    score_maps: Mapping[str, ScoreMap] | None = None
    confidence: Confidence | None = None
    detector: Detector | None = None
    probe: Probe | KernelRidge | None = None

    @classmethod
    def open(cls, workdir: Workdir) -> "TrainedRun":
        """Opens the best checkpoint of a run, with what was fitted for it.

        Raises:
            WorkdirError: there is no run, or a file of it is damaged or gone.
            CheckpointError: it has no checkpoint that can be read.
        """
        return run_from_config(workdir, workdir.config())

    @property
    def kind(self) -> Kind:
        """What the answers mean."""
        return self.settings.confidence.kind

    @property
    def headline(self) -> str:
        """The fusion that the run is judged by."""
        return self.settings.confidence.headline

    def refitted(self, workdir: Workdir) -> "TrainedRun":
        """Reads again what is fitted, after more of it was."""
        return dataclasses.replace(self, **read_fitted(workdir, self.step, self.settings))

    @property
    def table_features(self) -> list[str]:
        """Names of the hand-crafted features that must come with the images."""
        return [name for name in self.features.names if name not in COMPUTED]

    def check_features(self, given: Iterable[Collection[str]]) -> None:
        """Makes sure that the features which no picture gives have come.

        Args:
            given: for each image, or for all of a table, the names of those that came.

        Raises:
            WorkdirError: one has not.
        """
        needed = self.table_features
        if any(name not in names for names in given for name in needed):
            raise WorkdirError(
                f"this run also needs {', '.join(needed)} for every image: give a CSV with the "
                "columns path and these."
            )

    @property
    def lacks(self) -> dict[str, str]:
        """What the config asks for and was not fitted for this checkpoint -> a sentence on it."""
        refit, found = f"--mode=evaluate --workdir={self.name}", {}
        if self.calibration is None:
            found["calibration"] = (
                "probabilities and labels are not calibrated: no calibration was fitted for this "
                f"checkpoint. Run once, to fit it: {refit}"
            )
        if self.score_maps is None and self.kind.has_scale:
            found["score_maps"] = (
                "no score map was fitted for this checkpoint: plcc_mapped and rmse_mapped stay "
                f"undefined until {refit} has run"
            )
        if self.confidence is None:
            found["confidence"] = (
                "lower, upper, ood and abstain stay empty: they are fitted where the run's split "
                f"{self.settings.confidence.split} (uncertainty.split) is evaluated"
            )
        if self.detector is None and (wanted := self.settings.detector):
            found["detector"] = (
                f"there is no anomaly.kind {wanted.kind} fitted for the checkpoint of "
                f"step {self.step}: start the command again that trains the run"
            )
        return found


def run_from_config(workdir: Workdir, config: ml_collections.ConfigDict) -> TrainedRun:
    """Opens the best checkpoint of a run, as `TrainedRun.open`, by the config of its workdir."""
    variables, step = restore_trained(workdir, config)
    settings = fitted_settings_from_config(config)
    fitted = read_fitted(workdir, step, settings)
    return TrainedRun(
        name=str(workdir.folder),
        settings=settings,
        fusion=config.model.fusion,
        metric=headline_metric(config),
        views=build.views_from_config(config),
        variables=with_probe(variables, fitted["probe"]),
        step=step,
        features=workdir.features(),
        members=load_members(workdir, config.model.ensemble),
        **fitted,
    )
