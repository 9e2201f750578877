"""The train loop."""

import dataclasses
import math
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import closing, contextmanager
from functools import cached_property, partial

import jax
import ml_collections
import numpy as np
import optax
from clu import parameter_overview

from iqa_jax.analysis.metric_table import LOWER_IS_BETTER
from iqa_jax.evaluation.evaluation import probe_figures
from iqa_jax.evaluation.evaluator import Evaluator, evaluator_from_config
from iqa_jax.host.compiling import announce
from iqa_jax.host.processes import is_first, largest, wait_for_all
from iqa_jax.host.profiling import Clock, Profiler
from iqa_jax.host.progress import meter, say
from iqa_jax.learning.sharding import PLACEMENTS, Placement
from iqa_jax.learning.state import create_state
from iqa_jax.learning.steps import train_step
from iqa_jax.run import build
from iqa_jax.run.seen import write_seen
from iqa_jax.run.variables import initial_variables, restore_trained
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.detector import (
    detector_settings_from_config,
    fit_training_detector,
    write_detector,
)
from iqa_jax.scoring.fitted.probe import (
    fit_training_probe,
    probe_settings_from_config,
    with_probe,
    write_probe,
)
from iqa_jax.training.data import TrainingData, TrainingError

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


def fit(
    config: ml_collections.ConfigDict,
    data: TrainingData,
    workdir: Workdir,
    is_profiled: bool = False,
) -> int:
    """Trains in a workdir that is open, or goes on there, and fits what answers need on `train`.

    Args: as `train`.

    Returns:
      The signal that stopped it, or 0.
    """
    workdir.write_features(data.features)
    workdir.write_text("audit.txt", data.audit)
    write_seen(workdir, config, data.known)
    loop = _Loop(config, data, workdir)
    if stopped_by := loop.run(is_profiled):
        return stopped_by
    if is_first():
        _fit_on_train(config, loop.evaluator, workdir)
    wait_for_all("fitted")
    return 0


def _fit_on_train(
    config: ml_collections.ConfigDict, evaluator: Evaluator, workdir: Workdir
) -> None:
    """Fits the probe and the detector that the run has, if any, for the checkpoint that answers."""
    of_probe, of_detector = (
        probe_settings_from_config(config),
        detector_settings_from_config(config),
    )
    if of_probe is None and of_detector is None:
        return
    variables, step = restore_trained(workdir, config)
    images = evaluator.manifest.split("train")
    score = partial(evaluator.answers, variables, is_plain=True)
    if of_probe is not None:
        write_probe(workdir, step, fit_training_probe(of_probe, images, score))
    if of_detector is not None:
        embed = partial(evaluator.embed, variables)
        if detector := fit_training_detector(of_detector, images, embed):
            write_detector(workdir, step, of_detector, detector)


def compile_update(
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


class _Loop:
    """The state of a run while it trains, and its turns."""

    def __init__(self, config: ml_collections.ConfigDict, data: TrainingData, workdir: Workdir):
        self.config, self.manifest, self.workdir = config, data.manifest, workdir
        self.targets = data.targets
        self.steps_per_epoch = max(1, data.examples(config) // config.batch_size)
        self.total_steps = config.epochs * self.steps_per_epoch
        self.best = Best()
        self.evaluator = evaluator_from_config(
            config, data.manifest, data.source, data.features, data.embeddings, is_shared=True
        )
        self.data = data.batches(config)
        self.placement = PLACEMENTS[config.host.parallel](jax.devices())
        optimizer, self.schedule = build.optimizer_from_config(config, self.steps_per_epoch)
        self.update = compile_update(config, self.placement, optimizer, self.total_steps)
        self.clock = Clock()
        is_trainable = build.is_trainable_from_config(config)
        state = create_state(
            initial_variables(config),
            optimizer,
            is_trainable,
            config.optimizer.ema_decay,
            config.optimizer.start_share,
        )
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

        Args: as `train`.

        Returns:
          The signal that ended it, or 0.
        """
        config, writer = self.config, _Writer(self.workdir)
        evaluate_every = max(1, round(config.evaluate_every_epochs * self.steps_per_epoch))
        has_metric = bool(config.early_stopping.metric)
        in_flight: deque = deque()
        clock, tiles, first_step = self.clock, 0, self.step + 1
        reading = clock.read()
        traced = self.workdir.folder / "profile" if is_profiled and is_first() else None
        profiler = Profiler(traced, clock)
        showing = meter("step", self.total_steps)
        with _signals() as received, showing as progress, profiler, closing(self.data):
            while self.step < self.total_steps and not self._is_stale():
                with clock.spent_on("data"):
                    batch = next(self.data)
                image_id = batch["image_id"]
                batch |= {name: values[image_id] for name, values in self.targets.items()}
                self.state, metrics = self.update(self.state, self.placement.place_batch(batch))
                self.step += 1
                in_flight.append((self.step, image_id, metrics))
                tiles += int(batch["tile_mask"].sum())
                self._settle(in_flight, _STEPS_IN_FLIGHT)
                if self.step == first_step:
                    # It compiled: it says nothing about the rate.
                    jax.block_until_ready(metrics)
                    reading, tiles = clock.read(), 0
                is_last = self.step == self.total_steps
                stopped_by = self._agree(received, is_last)

                if self.step % config.log_every_steps == 0 or is_last:
                    values = self._settle(in_flight)
                    spent = clock.since(reading)
                    rate = tiles / spent["all"]
                    reading, tiles = clock.read(), 0
                    values["learning_rate"] = float(self.schedule(self.step - 1))
                    values["tiles_per_second"] = rate
                    # Share of the time, while updates are in flight too.
                    values["waiting_for_data"] = spent["data"] / spent["all"]
                    writer.write(
                        self.step, {f"train/{name}": value for name, value in values.items()}
                    )
                    progress.update(self.step, f"loss {values['loss']:.4f}  {rate:.0f} tiles/s")

                if has_metric and (self.step % evaluate_every == 0 or is_last):
                    self._settle(in_flight)
                    with clock.spent_on("pause"):
                        writer.write(self.step, self._evaluate())

                if (
                    stopped_by
                    or is_last
                    or self._is_stale()
                    or (self.step % config.checkpoint_every_steps == 0)
                ):
                    self._settle(in_flight)
                    self._save(self.workdir.last)
                profiler.turn(self.step)
                if stopped_by:
                    say(f"stopped by signal {stopped_by} after step {self.step}; everything is "
                        "saved, and the same command goes on from here")  # fmt: skip
                    return stopped_by
        if self._is_stale():
            say(f"stopped early: val {config.early_stopping.metric} has not become better in "
                f"{self.best.evaluations_since} evaluations")  # fmt: skip
        return 0

    def _agree(self, received: list[int], is_last: bool) -> int:
        """Gives the signal to stop by, or 0; the same in every process, so that all stop at once.

        Several processes ask each other only now and then: it costs them a wait.
        """
        if jax.process_count() > 1 and self.step % self.config.log_every_steps and not is_last:
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
            names = self.manifest.images["name"].iloc[np.unique(image_id)]
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
        return self.best.evaluations_since >= self.config.early_stopping.patience

    def _evaluate(self) -> dict[str, float]:
        """Evaluates on `val` and keeps the state if it is the best so far."""
        config = self.config
        # On the host: what all processes hold together, none can use by itself.
        variables = jax.device_get(self.placement.fetch_state(self.state).variables)
        score = partial(self.evaluator.answers, variables, is_plain=True)
        probe = None
        if (settings := probe_settings_from_config(config)) is not None:
            probe = fit_training_probe(settings, self.evaluator.manifest.split("train"), score)
        evaluation = self.evaluator(with_probe(variables, probe), "val")
        figures = evaluation.metrics["fusions"][config.evaluation.fusion]
        figures = figures | probe_figures(evaluation, config.model.fusion, probe)
        name = config.early_stopping.metric
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
            f"host.parallel {self.config.host.parallel}"
        )
        say(
            f"{self.total_steps} steps of {self.config.batch_size} examples, "
            f"{self.steps_per_epoch} per epoch; results go to {self.workdir.folder}"
        )


class _Writer:
    """Writes the curves to history.jsonl and TensorBoard."""

    def __init__(self, workdir: Workdir):
        self._workdir = workdir

    @cached_property
    def _tensorboard(self):
        # Imports TensorFlow: not before the first update is on its way.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # Else it warns, twice.
        try:
            from clu.metric_writers import SummaryWriter
        except ImportError:
            say("TensorFlow is not installed: curves go to history.jsonl, not to TensorBoard")
            return None
        return SummaryWriter(str(self._workdir.folder / "tensorboard"))

    def write(self, step: int, values: dict[str, float]) -> None:
        self._workdir.add_history({"step": step, **values})
        if is_first() and self._tensorboard:
            self._tensorboard.write_scalars(step, values)
            self._tensorboard.flush()


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
