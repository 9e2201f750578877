"""The train loop."""

import dataclasses
import math
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import jax
import ml_collections
import numpy as np
import optax
import pandas as pd

from input_pipeline.batches.worker_batches import Batches
from input_pipeline.extras import extra
from iqa_jax.analysis.metric_table import LOWER_IS_BETTER
from iqa_jax.evaluation.evaluation import probe_figures
from iqa_jax.evaluation.evaluator import Evaluator, evaluator_from_config
from iqa_jax.host.compiling import announce
from iqa_jax.host.processes import is_first, largest, wait_for_all
from iqa_jax.host.profiling import Clock, Profiler
from iqa_jax.host.progress import meter, say
from iqa_jax.learning.sharding import PLACEMENTS, Placement
from iqa_jax.learning.state import TrainState, create_state
from iqa_jax.learning.steps import train_step
from iqa_jax.run import build
from iqa_jax.run.seen import write_seen
from iqa_jax.run.variables import initial_variables, restore_trained
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.detector import (
    DetectorSettings,
    detector_settings_from_config,
    fit_training_detector,
    write_detector,
)
from iqa_jax.scoring.fitted.probe import (
    ProbeSettings,
    fit_training_probe,
    probe_settings_from_config,
    with_probe,
    write_probe,
)
from iqa_jax.training.curves import Curves
from iqa_jax.training.data import TrainingData, batch_settings_from_config
from iqa_jax.training.training_error import TrainingError

with extra("train"):
    from clu import parameter_overview

# Updates that may run before the loop looks at a loss: enough to keep an accelerator busy, few
# enough to stop soon after one goes wrong.
_STEPS_IN_FLIGHT = 2


@dataclasses.dataclass
class Best:
    """The best evaluation so far; saved beside the state.

    Attributes:
        value: of the early-stopping metric; None before the first evaluation that defines it.
        step: when it was reached.
        evaluations_since: without a better one.
    """

    value: float | None = None
    step: int = 0
    evaluations_since: int = 0


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """How long a run trains, and what happens on the way.

    Attributes:
        batch_size: examples of an update.
        steps_per_epoch, total_steps: updates.
        log_every_steps, evaluate_every_steps, checkpoint_every_steps: what is due how often.
        metric: figure of `val` that chooses the checkpoint; empty: the last one answers.
        patience: evaluations without a better value before the loop gives up.
        headline: the fusion that the figure is of.
        fusion: name of the network's own.
        probe: what the run answers by beside its network, if anything.
        parallel: how devices share a batch, by name.
    """

    batch_size: int
    steps_per_epoch: int
    total_steps: int
    log_every_steps: int
    evaluate_every_steps: int
    checkpoint_every_steps: int
    metric: str
    patience: int
    headline: str
    fusion: str
    probe: ProbeSettings | None
    parallel: str


def loop_settings_from_config(
    config: ml_collections.ConfigDict, steps_per_epoch: int
) -> LoopSettings:
    """Says how long a run trains whose epochs have so many steps."""
    return LoopSettings(
        batch_size=config.batch_size,
        steps_per_epoch=steps_per_epoch,
        total_steps=build.total_steps_from_config(config, steps_per_epoch),
        log_every_steps=config.log_every_steps,
        evaluate_every_steps=max(1, round(config.evaluate_every_epochs * steps_per_epoch)),
        checkpoint_every_steps=config.checkpoint_every_steps,
        metric=config.early_stopping.metric,
        patience=config.early_stopping.patience,
        headline=config.evaluation.fusion,
        fusion=config.model.fusion,
        probe=probe_settings_from_config(config),
        parallel=config.host.parallel,
    )


def fit(
    config: ml_collections.ConfigDict,
    data: TrainingData,
    workdir: Workdir,
    is_profiled: bool = False,
) -> int:
    """Trains in a workdir that is open, or goes on there, and fits what answers need on `train`.

    Args:
        As `train`.

    Returns:
        The signal that stopped it, or 0.
    """
    workdir.write_features(data.features)
    workdir.write_text("audit.txt", data.audit)
    write_seen(workdir, config, data.known)
    loop = _loop_from_config(config, data, workdir)
    if stopped_by := loop.run(is_profiled):
        return stopped_by
    if is_first():
        restore = partial(restore_trained, workdir, config)
        of_detector = detector_settings_from_config(config)
        _fit_on_train(restore, loop.evaluator, workdir, loop.settings.probe, of_detector)
    wait_for_all("fitted")
    return 0


def _fit_on_train(
    restore: Callable[[], tuple[Any, int]],
    evaluator: Evaluator,
    workdir: Workdir,
    of_probe: ProbeSettings | None,
    of_detector: DetectorSettings | None,
) -> None:
    """Fits the probe and the detector that the run has, if any, for the checkpoint that answers."""
    if of_probe is None and of_detector is None:
        return
    variables, step = restore()
    images = evaluator.manifest.split("train")
    score = partial(evaluator.answers, variables, is_plain=True)
    if of_probe is not None:
        write_probe(workdir, step, fit_training_probe(of_probe, images, score))
    if of_detector is not None:
        embed = partial(evaluator.embed, variables)
        if detector := fit_training_detector(of_detector, images, embed):
            write_detector(workdir, step, of_detector, detector)


def update_from_config(
    config: ml_collections.ConfigDict,
    placement: Placement,
    optimizer: optax.GradientTransformation,
    total_steps: int,
) -> Callable:
    """Makes the compiled `(state, batch) -> (state, metrics)` of a run of so many steps."""
    step = partial(
        train_step,
        model=build.model_from_config(config, placement.axis_name),
        task=build.task_from_config(config),
        optimizer=optimizer,
        is_trainable=build.is_trainable_from_config(config),
        augmentation=build.augmentation_from_config(config),
        key=jax.random.key(config.seed),
        total_steps=total_steps,
        tile_weight=config.loss.tile_weight,
        distortions=build.changes_from_config(config),
        axis_name=placement.axis_name,
        accumulation_steps=config.accumulation_steps,
        split_batch=placement.split_batch,
    )
    return announce("train step", placement.compile_step(step))


def _loop_from_config(
    config: ml_collections.ConfigDict, data: TrainingData, workdir: Workdir
) -> "_Loop":
    batching = batch_settings_from_config(config)
    steps_per_epoch = max(1, data.examples(batching) // config.batch_size)
    settings = loop_settings_from_config(config, steps_per_epoch)
    placement = PLACEMENTS[config.host.parallel](jax.devices())
    optimizer, schedule = build.optimizer_from_config(config, steps_per_epoch)
    evaluator = evaluator_from_config(
        config, data.manifest, data.source, data.features, data.embeddings, is_shared=True
    )
    state = create_state(
        initial_variables(config),
        optimizer,
        build.is_trainable_from_config(config),
        config.optimizer.ema_decay,
        config.optimizer.start_share,
    )
    return _Loop(
        settings,
        workdir,
        evaluator,
        data.batches(batching),
        data.targets,
        data.manifest.images,
        placement=placement,
        update=update_from_config(config, placement, optimizer, settings.total_steps),
        schedule=schedule,
        state=state,
    )


class _Loop:
    """The state of a run while it trains, and its turns.

    Args:
        settings: how long it trains.
        workdir: of the run; it goes on after the last checkpoint there.
        evaluator: of its manifest.
        batches: of training examples, endless.
        targets: name -> [image, ...], joined to a batch by its `image_id`.
        images: the manifest's rows, by image_id.
        placement: of state and batches.
        update: compiled.
        schedule: step -> learning rate.
        state: before the first update.
    """

    def __init__(
        self,
        settings: LoopSettings,
        workdir: Workdir,
        evaluator: Evaluator,
        batches: Batches,
        targets: Mapping[str, np.ndarray],
        images: pd.DataFrame,
        *,
        placement: Placement,
        update: Callable,
        schedule: Callable,
        state: TrainState,
    ):
        self.settings, self.workdir, self.evaluator = settings, workdir, evaluator
        self.data, self.targets, self.images = batches, targets, images
        self.placement, self.update, self.schedule = placement, update, schedule
        self.best, self.clock = Best(), Clock()
        self._describe(state)
        if workdir.last.steps:
            state, record = workdir.last.restore(state)
            self.data.set_state(record["data"])
            self.best = Best(**record["best"])
            say(f"going on after step {int(state.step)}")
        self.step = int(state.step)
        workdir.cut_history(self.step)
        self.state = self.placement.place_state(state)

    def run(self, is_profiled: bool) -> int:
        """Trains to the end, or until the metric stops improving or a signal comes.

        Args:
            As `train`.

        Returns:
            The signal that ended it, or 0.
        """
        settings, writer = self.settings, Curves(self.workdir)
        in_flight: deque = deque()
        first_step, rate = self.step + 1, _Rate(self.clock)
        traced = self.workdir.folder / "profile" if is_profiled and is_first() else None
        profiler = Profiler(traced, self.clock)
        showing = meter("step", settings.total_steps)
        with _signals() as received, showing as progress, profiler, closing(self.data):
            while self.step < settings.total_steps and not self._is_stale():
                rate.add(self._update(in_flight))
                self._settle(in_flight, _STEPS_IN_FLIGHT)
                if self.step == first_step:
                    # It compiled: it says nothing about the rate.
                    jax.block_until_ready(in_flight[-1])
                    rate.restart()
                is_last = self.step == settings.total_steps
                stopped_by = self._agree(received, is_last)

                if self.step % settings.log_every_steps == 0 or is_last:
                    values = self._settle(in_flight)
                    speed = rate.take()
                    values["learning_rate"] = float(self.schedule(self.step - 1))
                    values |= speed
                    writer.write(
                        self.step, {f"train/{name}": value for name, value in values.items()}
                    )
                    progress.update(
                        self.step,
                        f"loss {values['loss']:.4f}  {speed['tiles_per_second']:.0f} tiles/s",
                    )

                is_due = self.step % settings.evaluate_every_steps == 0 or is_last
                if settings.metric and is_due:
                    self._settle(in_flight)
                    with self.clock.spent_on("pause"):
                        writer.write(self.step, self._evaluate())

                is_due = self.step % settings.checkpoint_every_steps == 0 or is_last
                if stopped_by or is_due or self._is_stale():
                    self._settle(in_flight)
                    self._save(self.workdir.last)
                profiler.turn(self.step)
                if stopped_by:
                    say(f"stopped by signal {stopped_by} after step {self.step}; everything is "
                        "saved, and the same command goes on from here")  # fmt: skip
                    return stopped_by
        if self._is_stale():
            say(f"stopped early: val {settings.metric} has not become better in "
                f"{self.best.evaluations_since} evaluations")  # fmt: skip
        return 0

    def _update(self, in_flight: deque) -> int:
        """Starts the next update, and gives how many tiles it is on."""
        with self.clock.spent_on("data"):
            batch = next(self.data)
        image_id = batch["image_id"]
        batch |= {name: values[image_id] for name, values in self.targets.items()}
        self.state, metrics = self.update(self.state, self.placement.place_batch(batch))
        self.step += 1
        in_flight.append((self.step, image_id, metrics))
        return int(batch["tile_mask"].sum())

    def _agree(self, received: list[int], is_last: bool) -> int:
        """Gives the signal to stop by, or 0; the same in every process, so that all stop at once.

        Several processes ask each other only now and then: it costs them a wait.
        """
        if jax.process_count() > 1 and self.step % self.settings.log_every_steps and not is_last:
            return 0
        return largest(received[0] if received else 0)

    def _settle(self, in_flight: deque, keep: int = 0) -> dict[str, float]:
        """Waits for updates and stops the run if one went wrong; gives the last one's values."""
        values: dict[str, float] = {}
        while len(in_flight) > keep:
            step, image_id, metrics = in_flight.popleft()
            with self.clock.spent_on("device"):
                values = {name: float(value) for name, value in metrics.items()}
            if all(map(math.isfinite, values.values())):
                continue
            names = self.images["name"].iloc[np.unique(image_id)]
            saved = self.workdir.last.steps
            raise TrainingError(
                f"step {step}: the loss is {values['loss']} and the gradient's norm "
                f"{values['gradient_norm']}. Its images: {', '.join(names)}. "
                + (f"The last good checkpoint is step {saved[-1]}" if saved else "Nothing is saved")
                + f" (in {self.workdir.folder}). Try a lower optimizer.learning_rate or "
                "optimizer.gradient_clip, in a new workdir."
            )
        return values

    def _is_stale(self) -> bool:
        return self.best.evaluations_since >= self.settings.patience

    def _evaluate(self) -> dict[str, float]:
        """Evaluates on `val` and keeps the state if it is the best so far."""
        settings = self.settings
        # On the host: what all processes hold together, none can use by itself.
        variables = jax.device_get(self.placement.fetch_state(self.state).variables)
        score = partial(self.evaluator.answers, variables, is_plain=True)
        probe = None
        if settings.probe is not None:
            probe = fit_training_probe(
                settings.probe, self.evaluator.manifest.split("train"), score
            )
        evaluation = self.evaluator(with_probe(variables, probe), "val")
        figures = evaluation.metrics["fusions"][settings.headline]
        figures = figures | probe_figures(evaluation, settings.fusion, probe)
        name = settings.metric
        value = figures[name]
        sign = -1 if name in LOWER_IS_BETTER else 1
        is_better = value is not None and (
            self.best.value is None or sign * value > sign * self.best.value
        )
        if is_better:
            self.best = Best(value, self.step)
            self._save(self.workdir.best)
        else:
            self.best = dataclasses.replace(
                self.best, evaluations_since=self.best.evaluations_since + 1
            )
        shown = "undefined" if value is None else f"{value:.4f}"
        say(f"step {self.step}: val {name} {shown}{', the best so far' if is_better else ''}")
        return {f"val/{key}": value for key, value in figures.items() if isinstance(value, float)}

    def _save(self, checkpoints) -> None:
        record = {"data": self.data.get_state(), "best": dataclasses.asdict(self.best)}
        checkpoints.save(self.step, self.placement.fetch_state(self.state), record)

    def _describe(self, state) -> None:
        """Says what will run where."""
        overview = parameter_overview.get_parameter_overview(state.params, include_stats=False)
        self.workdir.write_text("parameters.txt", overview)
        count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        devices = jax.devices()
        say(
            f"{count:,} parameters (parameters.txt); {len(devices)} × {devices[0].device_kind} "
            f"({devices[0].platform}), {jax.process_count()} process(es), "
            f"host.parallel {self.settings.parallel}"
        )
        say(
            f"{self.settings.total_steps} steps of {self.settings.batch_size} examples, "
            f"{self.settings.steps_per_epoch} per epoch; results go to {self.workdir.folder}"
        )


class _Rate:
    """How many tiles a second the loop trains on, and how long it waits for them."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        self._reading, self._tiles = self._clock.read(), 0

    def add(self, tiles: int) -> None:
        self._tiles += tiles

    def take(self) -> dict[str, float]:
        """Gives both since it was taken last."""
        spent, tiles = self._clock.since(self._reading), self._tiles
        self.restart()
        return {
            "tiles_per_second": tiles / spent["all"],
            # Share of the time, while updates are in flight too.
            "waiting_for_data": spent["data"] / spent["all"],
        }


@contextmanager
def _signals():
    """Collects SIGTERM and Ctrl-C, so that the loop ends after a whole turn.

    A second Ctrl-C interrupts at once.
    """
    received: list[int] = []
    previous = {}

    def note(number, _):
        received.append(number)
        signal.signal(number, previous[number])
        print("stopping after this step ...", file=sys.stderr, flush=True)

    for number in (signal.SIGTERM, signal.SIGINT):
        previous[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
