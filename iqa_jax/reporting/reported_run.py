"""What pages must know of a run to read its figures."""

import dataclasses

import ml_collections

from iqa_jax.analysis.kinds import Kind
from iqa_jax.run.config import config_to_json, headline_metric, kind_from_config


@dataclasses.dataclass(frozen=True)
class ReportedRun:
    """A run that is reported on.

    Attributes:
        kind: what its answers mean.
        headline: the fusion whose figures stand for it.
        metric: the figure that it is judged by.
        chosen_by: the figure that chose its checkpoint on `val`; empty where the last one answers.
        settings: its whole config as JSON, to be shown.
    """

    kind: Kind
    headline: str
    metric: str
    chosen_by: str
    settings: str


def reported_run_from_config(config: ml_collections.ConfigDict) -> ReportedRun:
    """Says what pages must know of a run."""
    return ReportedRun(
        kind=kind_from_config(config),
        headline=config.evaluation.fusion,
        metric=headline_metric(config),
        chosen_by=config.early_stopping.metric,
        settings=config_to_json(config),
    )
