"""What the answers of a protocol's splits come to: protocol.json, protocol.csv and a table."""

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iqa_jax.analysis.bootstrap import DRAWS, FEW_GROUPS, draw_split_means, percentile_interval
from iqa_jax.analysis.kinds import Kind
from iqa_jax.analysis.late_fusion import three_class
from iqa_jax.analysis.metric_table import LOWER_IS_BETTER
from iqa_jax.analysis.weighted_metrics import Measure, decision_measures
from iqa_jax.host.progress import meter, say
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.fitted.score_maps import read_score_maps
from iqa_jax.scoring.fitted.thresholds import read_thresholds
from iqa_jax.studies.study import split_folder

# Name of the one run of each split.
MEMBER = "run"
# Kind of protocol -> what the bootstrap draws anew.
KINDS = {
    "random": {"draws_splits": True, "draws_groups": True},
    # Every image is tested once, so splits are no draw.
    "k_fold": {"draws_splits": False, "draws_groups": True},
    # Each split tests one group, so drawing splits is drawing groups.
    "leave_one_group_out": {"draws_splits": True, "draws_groups": False},
    "cross_dataset": {"draws_splits": True, "draws_groups": True},
}


def _measures(
    kind: Kind, headline: str, run: Mapping[str, Any], workdir: Workdir
) -> dict[tuple[str, str], Measure]:
    """Gives (fusion, figure) -> measure of the test rows of one split."""
    labels = np.array(run["labels"])
    step = workdir.read_json("metrics.json")["test"]["step"]
    maps, measures = read_score_maps(workdir, step) or {}, {}
    for fusion, rows in run["values"].items():
        values, known = np.array(rows), {}
        if fusion in maps:
            known["mapped"] = maps[fusion](kind.score_of(values))
        if run["stds"] is not None:
            known["std"] = np.array(run["stds"])
        for name, measure in kind.measures(values, labels, **known).items():
            measures[fusion, name] = measure
    if thresholds := read_thresholds(workdir, step):
        scores = kind.score_of(np.array(run["values"][headline]))
        grades = np.choose(labels + 1, (1, 0, 2))
        answers = three_class(scores, *thresholds)
        for name, measure in decision_measures(answers, grades, 3, is_ordered=True).items():
            measures[f"{headline}, three classes", name] = measure
    return measures


def write_figures(
    folder: Path,
    runs: Sequence[Mapping[str, Any]],
    splits: Sequence[np.ndarray],
    *,
    protocol: str,
    kind: Kind,
    headline: str,
    seed: int,
    command: str,
    baselines: Sequence[Mapping[str, Mapping[str, Any]]] = (),
) -> None:
    """Writes and prints what the answers of all splits come to.

    Args:
        folder: of the protocol.
        runs: the recipe's answers, split by split.
        splits: where each image is.
        protocol: its kind, of `KINDS`.
        kind: what the recipe's answers mean.
        headline: the recipe's fusion that baselines are set beside.
        seed: of the first split.
        command: how it was started.
        baselines: for each split, baseline -> its answers; their rows say how they differ from the
            recipe's headline fusion.
    """
    measures = [
        _measures(kind, headline, run, Workdir(split_folder(folder, number) / MEMBER))
        for number, run in enumerate(runs)
    ]
    groups = [np.array(run["groups"]) for run in runs]
    # A split without thresholds or score map has fewer figures; those are not averaged.
    keys = [key for key in measures[0] if all(key in split for split in measures)]
    rows = _recipe_rows(protocol, keys, measures, groups)
    for name in baselines[0] if baselines else ():
        answers = [split[name] for split in baselines]
        rows += _baseline_rows(protocol, kind, headline, folder, name, runs, answers)
    record = {
        "kind": protocol,
        "splits": [
            {
                "rows": str(Path(split_folder(Path(), number)) / "rows.csv"),
                "seed": seed + number,
                **{name: int((split == name).sum()) for name in ("train", "val")},
                "test": len(part),
                "test_groups": len(np.unique(part)),
            }
            for number, (split, part) in enumerate(zip(splits, groups, strict=True))
        ],
        "interval": _describe_interval(protocol),
        "test_groups": len(np.unique(np.concatenate(groups))),
        "command": command,
        "figures": rows,
    }
    Workdir(folder).write_text("protocol.json", json.dumps(record, indent=2))
    file = io.StringIO(newline="")
    columns = dict.fromkeys(name for row in rows for name in row if name != "per_split")
    writer = csv.DictWriter(file, list(columns), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    Workdir(folder).write_text("protocol.csv", file.getvalue())
    say(_format(rows, record))
    say(f"protocol.csv, protocol.json and the row lists are in {folder}")


def _recipe_rows(
    protocol: str,
    keys: Sequence[tuple[str, str]],
    measures: Sequence[Mapping[tuple[str, str], Measure]],
    groups: Sequence[np.ndarray],
) -> list[dict[str, Any]]:
    """Gives the recipe's figures, with intervals.

    Args:
        protocol: its kind.
        keys: (fusion, figure) of each row.
        measures, groups: of the tested images, split by split.
    """
    rows = []
    with meter("figures", len(keys)) as progress:
        for done, key in enumerate(keys, start=1):
            found = [split[key] for split in measures]
            figures = [
                float(measure(np.ones((len(part), 1)))[0])
                for measure, part in zip(found, groups, strict=True)
            ]
            draws = draw_split_means([[measure] for measure in found], groups, **KINDS[protocol])
            rows.append(_row(key, figures, percentile_interval(draws[0])))
            progress.update(done)
    return rows


def _baseline_rows(
    protocol: str,
    kind: Kind,
    headline: str,
    folder: Path,
    name: str,
    runs: Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Gives a baseline's figures and their paired difference to the recipe's, on the same rows.

    Args:
        protocol, kind, headline, folder: as in `write_figures`.
        name: of the baseline.
        runs, answers: of the recipe and of the baseline, split by split.
    """
    ours, theirs, groups = [], [], []
    for number, (run, answer) in enumerate(zip(runs, answers, strict=True)):
        # What only one of them could read is left out of both.
        common = set(run["names"]).intersection(answer["names"])
        run, answer = _restrict(run, common), _restrict(answer, common)
        workdir = Workdir(split_folder(folder, number) / MEMBER)
        ours.append(_measures(kind, headline, run, workdir))
        known = {"mapped": np.array(answer["mapped"])}
        if answer["stds"] is not None:
            known["std"] = np.array(answer["stds"])
        values, labels = np.array(answer["values"][name]), np.array(answer["labels"])
        theirs.append(kind.measures(values, labels, **known))
        groups.append(np.array(answer["groups"]))
    rows, draws = [], KINDS[protocol]
    for figure in theirs[0]:
        pairs = [
            [their[figure], our[headline, figure]]
            for their, our in zip(theirs, ours, strict=True)
            if (headline, figure) in our
        ]
        if len(pairs) < len(ours):
            continue
        found = np.array(
            [
                [float(measure(np.ones((len(part), 1)))[0]) for measure in pair]
                for pair, part in zip(pairs, groups, strict=True)
            ]
        )
        # Alone, so that a split that leaves the recipe's figure undefined counts here.
        alone = draw_split_means([[their] for their, _ in pairs], groups, **draws)
        row = _row((name, figure), found[:, 0].tolist(), percentile_interval(alone[0]))
        sign = -1 if figure in LOWER_IS_BETTER else 1
        differences = sign * (found[:, 0] - found[:, 1])
        differences = differences[np.isfinite(differences)]
        both = draw_split_means(pairs, groups, **draws)
        interval = percentile_interval(sign * (both[0] - both[1]))
        low, high = interval or (None, None)
        row |= {
            "difference": float(differences.mean()) if len(differences) else None,
            "difference_low": low,
            "difference_high": high,
            "verdict": _verdict(interval),
        }
        rows.append(row)
    return rows


def _restrict(answers: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Keeps the answers to the named images."""
    is_kept = [name in names for name in answers["names"]]

    def keep(values):
        return values and [value for value, kept in zip(values, is_kept, strict=True) if kept]

    per_image = [key for key in ("names", "labels", "groups", "stds", "mapped") if key in answers]
    return {
        **{key: keep(answers[key]) for key in per_image},
        "values": {fusion: keep(values) for fusion, values in answers["values"].items()},
    }


def _verdict(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return "no interval"
    if interval[0] <= 0 <= interval[1]:
        return "not separated from the recipe"
    return f"{'better' if interval[0] > 0 else 'worse'} than the recipe"


def _row(
    key: tuple[str, str], figures: Sequence[float], interval: tuple[float, float] | None
) -> dict[str, Any]:
    """Sums one figure up over the splits that define it."""
    defined = np.array([figure for figure in figures if np.isfinite(figure)])
    row: dict[str, Any] = {"fusion": key[0], "figure": key[1], "defined_splits": len(defined)}
    names = ("median", "mean", "standard_deviation", "lowest", "highest")
    row |= dict.fromkeys((*names, "low", "high"))
    if len(defined):
        row |= {name: float(getattr(np, name)(defined)) for name in ("median", "mean")}
        row |= {"lowest": float(defined.min()), "highest": float(defined.max())}
    if len(defined) > 1:
        row["standard_deviation"] = float(defined.std(ddof=1))
    if interval:
        row["low"], row["high"] = interval
    row["per_split"] = [figure if np.isfinite(figure) else None for figure in figures]
    return row


def _describe_interval(protocol: str) -> str:
    draws = KINDS[protocol]
    drawn = [name for name in ("splits", "groups") if draws[f"draws_{name}"]]
    return (
        f"95 % percentile interval of the mean over splits, of {DRAWS} bootstrap draws of "
        f"{' and '.join(drawn)}. A split whose drawn images leave a figure undefined sits out that "
        "draw. Nothing is trained again, and that splits share training images is not corrected "
        "for."
    )


def _format(rows: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> str:
    columns = ("median", "mean", "standard_deviation", "lowest", "highest")

    def text(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    count = len(record["splits"])
    lines = [
        f"test figures over {count} split(s), {record['kind']}",
        f"{'fusion':34} {'figure':18}  median    mean      sd  lowest highest  mean's interval",
    ]
    for row in rows:
        low, high = text(row["low"]), text(row["high"])
        lines.append(
            f"{row['fusion']:34} {row['figure']:18} "
            + " ".join(f"{text(row[name]):>7}" for name in columns)
            + (f"  [{low}, {high}]" if row["low"] is not None else "  undefined")
            + (f"  in {row['defined_splits']} splits" if row["defined_splits"] < count else "")
        )
    paired = [row for row in rows if row.get("difference") is not None]
    if paired:
        lines.append(
            "baseline less recipe, on the same rows; above 0 where the baseline is better:"
        )
    for row in paired:
        low, high = row["difference_low"], row["difference_high"]
        interval = "undefined" if low is None else f"{low:+.4f}, {high:+.4f}"
        lines.append(
            f"{row['fusion']:34} {row['figure']:18} {row['difference']:+.4f}  [{interval}]  "
            f"{row['verdict']}"
        )
    lines.append(f"Interval: {record['interval']}")
    if record["test_groups"] < FEW_GROUPS:
        lines.append(
            f"only {record['test_groups']} groups are tested: intervals of so few are too narrow"
        )
    return "\n".join(lines)
