"""Runs the benchmarks of speed and memory, and writes their table in docs/figures.md.

    python -m benchmarks.performance                     # all but gpu
    python -m benchmarks.performance --only=predict      # one; the other rows stay
    python -m benchmarks.performance --only              # none: only writes the table again

What each printed is kept in `benchmarks/results/`, with machine, versions and date, so that a row
measured on a GPU and one measured on a CPU stand in one table.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- performance: begin -->", "<!-- performance: end -->"

PEERS = {
    "pytorch": "PyTorch",
    "pytorch_kept_memory": "PyTorch with our memory setting",
    "pytorch_compiled": "PyTorch, compiled",
    "pytorch_more_workers": "PyTorch, two workers per core",
}
# What each of our ways to read does, beside a peer that decodes every image each time.
INPUTS = {
    "same_work": "the same work",
    "cached": "decoded images cached: from the second epoch on, while they fit",
    "prepared": "from what `--mode=prepare` wrote",
}


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        what: was measured.
        ours: what iqa_jax reaches, with its unit.
        peer: whom it is set against, and what that reaches.
        ratio: how many times better we are; None where nobody is compared.
    """

    what: str
    ours: str
    peer: str
    ratio: float | None


def _rows(
    what: str, rates: dict[str, float], ratios: dict[str, float], ours: str, unit: str
) -> list[Row]:
    """Makes a row per peer."""
    return [
        Row(what, f"{rates[ours]} {unit}", f"{PEERS[peer]}: {rates[peer]} {unit}", ratio)
        for peer, ratio in ratios.items()
    ]


def _against_peers(what: str, result: dict[str, Any]) -> list[Row]:
    """Makes a row per peer from `tiles_per_second` and `ratio`."""
    return _rows(what, result["tiles_per_second"], result["ratio"], "iqa_jax", "tiles/s")


def _train_step(result: dict[str, Any]) -> list[Row]:
    batch, size = result["tiles"][:2]
    sizes = f"MobileNetV2, {batch} × {size}² tiles, float32"
    return [
        *_against_peers(f"training step, {sizes}", result["train"]),
        *_against_peers(f"inference, {sizes}", result["inference"]),
    ]


def _gpu(result: dict[str, Any]) -> list[Row]:
    rows = []
    for name, what in (("train", "training step"), ("inference", "inference")):
        share = result[name]["roofline"]["iqa_jax"]
        work = result["work"]
        sizes = f"{work['batch']} × {work['size']}² tiles, bfloat16"
        rows += _against_peers(
            f"{what}, MobileNetV2, {sizes} ({share:.0%} of the roofline)", result[name]
        )
    return rows


def _train_loop(result: dict[str, Any]) -> list[Row]:
    batch, size = result["tiles"][:2]
    rates = result["tiles_per_second"]
    return [
        Row(
            f"training end to end, {batch} × {size}² tiles, from files",
            f"{rates['loop']} tiles/s",
            f"its bare step, data at hand: {rates['bare_step']} tiles/s",
            result["ratio"],
        )
    ]


def _input(result: dict[str, Any]) -> list[Row]:
    _, height, width = result["photos"]
    work = result["work"]
    rows = []
    for ours, what in INPUTS.items():
        ratios = result["ratio"][ours]
        if ours != "same_work":
            # One peer tells what other work is worth.
            ratios = {"pytorch": ratios["pytorch"]}
        rows += _rows(
            f"input, {work['tiles']} tiles of {width} × {height} JPEGs, {what}",
            result["images_per_second"], ratios, ours, "images/s",
        )  # fmt: skip
    return rows


def _predict(result: dict[str, Any]) -> list[Row]:
    count, height, width = result["photos"]
    return _against_peers(f"scoring files, {count} JPEGs of {width} × {height} pixels", result)


def _predict_memory(result: dict[str, Any]) -> list[Row]:
    cases = {
        "small_photo": "one small photograph",
        "folder_of_20_megapixels": f"{result['photos']} JPEGs of 20 megapixels",
        "list": f"a list of {result['list_rows']:,} missing files",
        "huge_tiff": f"a TIFF of {result['side']:,}² pixels",
    }
    nothing = result["nothing"]["megabytes"]
    return [
        Row(f"memory of `predict`, {what}", f"{result[case]['megabytes']:,} MB",
            f"Python with JAX alone: {nothing} MB", None)
        for case, what in cases.items()
    ]  # fmt: skip


# Module -> its rows; in the order of the table.
CLAIMS: dict[str, Callable[[dict[str, Any]], list[Row]]] = {
    "train_step": _train_step,
    "train_loop": _train_loop,
    "gpu": _gpu,
    "input": _input,
    "predict": _predict,
    "predict_memory": _predict_memory,
}


def run(module: str) -> None:
    """Runs a benchmark and keeps what it printed."""
    print(f"python -m benchmarks.{module}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"benchmarks.{module}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{module}.json").write_text(json.dumps(json.loads(done.stdout), indent=1) + "\n")


def make_table(results: dict[str, dict[str, Any]]) -> str:
    """Gives the table in Markdown, and below it what each benchmark ran on.

    Args:
        results: what the benchmarks of `CLAIMS` printed, by name; those that never ran have no
            rows.
    """
    lines = ["| | iqa_jax | peer in the same run | ratio |", "|---|---|---|---|"]
    for module, rows_of in CLAIMS.items():
        for row in rows_of(results[module]) if module in results else ():
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            lines.append(f"| {row.what} | {row.ours} | {row.peer} | {ratio} |")
    lines.append("")
    lines += (f"- `{module}`: {_conditions(results[module])}"
              for module in CLAIMS if module in results)  # fmt: skip
    return "\n".join(lines)


def _conditions(result: dict[str, Any]) -> str:
    versions = (f"{name} {number}" for name, number in result["versions"].items())
    device = result.get("device", "cpu")
    return ", ".join(
        (
            result["date"],
            result["machine"] if device == "cpu" else device,
            f"{result['cores']} cores",
            f"Python {result['python']}",
            *versions,
        )
    )


def put_into(text: str, table: str) -> str:
    """Gives a text whose table is replaced, between the two marks."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def read_results() -> dict[str, dict[str, Any]]:
    """Gives what is kept of every benchmark of speed or memory that ran."""
    kept = {path.stem: path for path in RESULTS.glob("*.json") if path.stem in CLAIMS}
    return {name: json.loads(path.read_text()) for name, path in kept.items()}


def main() -> None:
    """Runs what is asked for and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    on_cpu = [module for module in CLAIMS if module != "gpu"]
    parser.add_argument("--only", nargs="*", default=on_cpu, choices=CLAIMS)
    for module in parser.parse_args().only:
        run(module)
    page = ROOT / "docs/figures.md"
    page.write_text(put_into(page.read_text(), make_table(read_results())))


if __name__ == "__main__":
    main()
