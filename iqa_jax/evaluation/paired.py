"""Two runs' answers to the same rows, with paired intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from iqa_jax.analysis.bootstrap import (
    DRAWS,
    FEW_GROUPS,
    Interval,
    draw_figures,
    percentile_interval,
    too_dear,
)
from iqa_jax.analysis.kinds import Kind
from iqa_jax.analysis.metric_table import LOWER_IS_BETTER
from iqa_jax.analysis.weighted_metrics import Measure
from iqa_jax.host.progress import say
from iqa_jax.run.seen import seen_by
from iqa_jax.run.workdir import Workdir, WorkdirError

PAIRED = f"95 % percentile interval of {DRAWS} bootstrap draws of groups, the same for both runs"


def compare_split(
    split: str,
    workdir: Workdir,
    other: Workdir,
    kinds: tuple[Kind, Kind],
) -> dict[str, Any]:
    """Compares two runs' predictions of one split and prints what it finds.

    Args:
        split: its predictions_<split>.csv is in both workdirs.
        workdir, other: of runs A and B.
        kinds: what the answers of both mean.

    Returns:
        `rows`, `groups`, `seen_in_training` (workdir -> images; None where that cannot be
        told) and `figures`: name -> `a`, `b`,
        `difference` (above 0 in favour of A), `interval`, `verdict`.

    Raises:
        WorkdirError: they have no rows in common, or the rows differ in their label or group.
    """
    tables = _read_both(split, workdir, other)
    seen = _count_seen((workdir, other), tables[0].index)
    groups = tables[0]["group"].to_numpy()
    measures = [
        kind.measures(*kind.read_table(table)) for kind, table in zip(kinds, tables, strict=True)
    ]
    ours, theirs = (_figures(part, len(groups)) for part in measures)
    our_draws, their_draws = (draw_figures(part, groups) for part in measures)
    rows = {
        name: _compare_figure(
            ours[name],
            theirs[name],
            our_draws[name],
            their_draws[name],
            sign=-1.0 if name in LOWER_IS_BETTER else 1.0,
        )
        for name in measures[0]
    }
    count = len(np.unique(groups))
    say(
        f"{split}: {len(groups)} images in {count} groups that both runs answer; A is "
        f"{workdir.folder}, B is {other.folder}; a difference above 0 is in favour of A"
    )
    for name, row in rows.items():
        say("  " + _format(name, row))
    for run, overlap in seen.items():
        if overlap:
            say(f"WARNING: {overlap} of these images trained {run} or a run that it builds on, "
                "chose a checkpoint, or are of a group that did; its figures flatter")  # fmt: skip
    for name in too_dear(measures[0], len(groups)):
        say(f"no interval for {name}: drawing it from {len(groups)} rows would take minutes")
    if count < FEW_GROUPS:
        say(f"only {count} groups: intervals of so few are too narrow, and a difference "
            "may well be chance")  # fmt: skip
    return {"rows": len(groups), "groups": count, "seen_in_training": seen, "figures": rows}


def _read_both(split: str, workdir: Workdir, other: Workdir) -> list[pd.DataFrame]:
    """Reads the rows of a split that both runs answer.

    Raises:
        WorkdirError: there are none, or the rows differ in their label or group.
    """
    tables = [_read(run, split) for run in (workdir, other)]
    both = tables[0].index.intersection(tables[1].index)
    tables = [table.loc[both] for table in tables]
    for column in ("label", "group"):
        differs = tables[0][column] != tables[1][column]
        if differs.any():
            name = both[differs.to_numpy()][0]
            ours, theirs = (table[column][name] for table in tables)
            raise WorkdirError(
                f"{split}: the {column} of {name} is {ours!r} in {workdir.folder} and {theirs!r} "
                f"in {other.folder} ({int(differs.sum())} such rows): they are not the same data."
            )
    is_answered = np.all([table["score"] != "" for table in tables], axis=0)
    if not is_answered.any():
        raise WorkdirError(
            f"{split}: {workdir.folder} and {other.folder} answer no image in common."
        )
    return [table[is_answered] for table in tables]


def _figures(measures: Mapping[str, Measure], count: int) -> dict[str, float | None]:
    return {name: _or_none(measure(np.ones((count, 1)))[0]) for name, measure in measures.items()}


def _compare_figure(
    ours: float | None,
    theirs: float | None,
    our_draws: np.ndarray,
    their_draws: np.ndarray,
    *,
    sign: float,
) -> dict[str, Any]:
    """Sets one figure of A against that of B; `sign` is -1 for errors."""
    difference = None if ours is None or theirs is None else sign * (ours - theirs)
    interval = percentile_interval(sign * (our_draws - their_draws))
    verdict = _verdict(difference, interval)
    return {
        "a": ours, "b": theirs, "difference": difference, "interval": interval, "verdict": verdict,
    }  # fmt: skip


def _read(workdir: Workdir, split: str) -> pd.DataFrame:
    path = workdir.folder / f"predictions_{split}.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")
    return table.set_index("path")


def _count_seen(runs: Sequence[Workdir], names: pd.Index) -> dict[str, int | None]:
    """Counts, for each run, the compared images that it has learnt from; None if nobody can tell.

    Both runs answer the same rows, so whichever of them knows their files can identify them.
    """
    seen = [seen_by(run) for run in runs]
    images = max((part.named(names) for part in seen), key=len)
    if missing := len(names) - len(images):
        say(f"{missing} of these images are not in the manifest of a run: whether they trained one "
            "cannot be told")  # fmt: skip
    found: dict[str, int | None] = {}
    for run, part in zip(runs, seen, strict=True):
        for clause in part.gone:
            say(f"{clause}: whether these images trained {run.folder} cannot be told")
        count = int(part.among(images).sum())
        found[str(run.folder)] = None if not count and (part.gone or missing) else count
    return found


def _or_none(figure: float) -> float | None:
    return float(figure) if np.isfinite(figure) else None


def _verdict(difference: float | None, interval: Interval) -> str:
    if difference is None:
        return "undefined on these images"
    if interval is None:
        return "no interval"
    if interval[0] > 0 or interval[1] < 0:
        return f"{'A' if difference > 0 else 'B'} is better"
    return "0 is inside the interval: these images do not tell the runs apart"


def _format(name: str, row: dict[str, Any]) -> str:
    ours, theirs = ("undefined" if row[run] is None else f"{row[run]:.4f}" for run in ("a", "b"))
    text = f"{name:18} A {ours}  B {theirs}"
    if row["difference"] is not None:
        text += f"  {row['difference']:+.4f}"
    if row["interval"]:
        text += f" [{row['interval'][0]:+.4f}, {row['interval'][1]:+.4f}]"
    return f"{text}  {row['verdict']}"
