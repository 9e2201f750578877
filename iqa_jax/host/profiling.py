"""Where the train loop's time goes: seconds by what it waits for, and a trace of a few steps."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import jax

from iqa_jax.host.progress import say

# The first turns compile and fill what works ahead.
_TURNS_SKIPPED, _TURNS_PROFILED = 4, 10


class Clock:
    """Tells seconds, all in all and those spent on what is named."""

    def __init__(self):
        self._spent: Counter[str] = Counter()

    @contextmanager
    def spent_on(self, what: str) -> Iterator[None]:
        """Counts the time inside `with`; a trace shows it by this name."""
        start = time.monotonic()
        try:
            with jax.profiler.TraceAnnotation(what):
                yield
        finally:
            self._spent[what] += time.monotonic() - start

    def read(self) -> dict[str, float]:
        """Gives a reading for `since`."""
        return {**self._spent, "all": time.monotonic()}

    def since(self, reading: Mapping[str, float]) -> Counter[str]:
        """Gives the seconds since a reading, by name; `all` is without the time of `pause`."""
        spent = Counter({name: now - reading.get(name, 0) for name, now in self.read().items()})
        spent["all"] = max(spent["all"] - spent["pause"], 1e-9)
        return spent


class Profiler:
    """Traces some turns of the loop and says where their time went; leaving `with` ends it.

    Nothing waits for the device that would not without it.

    Args:
        folder: of the trace; None to do nothing.
        clock: on which the loop books the time that it waits for `data` and for the `device`, and
            the `pause` that is no part of a step.
    """

    def __init__(self, folder: Path | None, clock: Clock):
        self._folder, self._clock = folder, clock
        self._turns = 0
        self._first_step: int | None = None  # While a trace is on.

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        if self._first_step is not None:
            self._stop()
        elif self._folder and self._turns <= _TURNS_SKIPPED:
            say(f"nothing is profiled: it begins after {_TURNS_SKIPPED} steps, and this start "
                f"made {self._turns}")  # fmt: skip

    def turn(self, step: int) -> None:
        """Takes note that the turn of a step is over."""
        self._turns += 1
        if not self._folder:
            return
        if self._turns == _TURNS_SKIPPED:
            self._start(step + 1)
        elif self._turns == _TURNS_SKIPPED + _TURNS_PROFILED:
            self._stop()

    def _start(self, step: int) -> None:
        options = jax.profiler.ProfileOptions()
        # A record of every Python call would take longer than many a step.
        options.python_tracer_level = 0
        with self._clock.spent_on("pause"):
            jax.profiler.start_trace(self._folder, profiler_options=options)
        self._first_step, self._reading = step, self._clock.read()

    def _stop(self) -> None:
        spent, first = self._clock.since(self._reading), self._first_step
        self._first_step = None
        with self._clock.spent_on("pause"):
            jax.profiler.stop_trace()
        steps = self._turns - _TURNS_SKIPPED
        if not steps:
            say("nothing is profiled: no step was left")
            return
        for line in summarise(spent, first, steps):
            say(line)
        say(f"  trace: tensorboard --logdir={self._folder} (needs tensorboard-plugin-profile), or "
            "open the .trace.json.gz there in https://ui.perfetto.dev")  # fmt: skip


def summarise(spent: Mapping[str, float], first: int, steps: int) -> list[str]:
    """Says how long a step takes, and which shares of it are what.

    Args:
        spent: seconds by name, as `Clock.since` gives them: `all`, `data` and `device`.
        first: number of the first step.
        steps: how many there were.
    """
    data, device = (spent[name] / spent["all"] for name in ("data", "device"))
    last, each, host = first + steps - 1, 1e3 * spent["all"] / steps, 1 - data - device
    return [
        f"profile of steps {first} to {last}: {each:.1f} ms per step",
        f"  waiting for data {data:.1%}, host work {host:.1%}, waiting for the device {device:.1%}",
    ]
