"""Scores images that have no label: `--mode=predict`, and `load_scorer` from Python."""

import re
import time
from collections.abc import Iterable
from pathlib import Path

from input_pipeline.batches.listing import Input, shard_bounds
from input_pipeline.files.file_names import slash_hint
from input_pipeline.files.image_files import tell_passed_over
from iqa_jax.host.lock import locked
from iqa_jax.host.progress import meter, say
from iqa_jax.modes import SOME_FAILED
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.inputs import listing_from_config
from iqa_jax.scoring.quality_scorer import QualityScorer, load_scorer
from iqa_jax.scoring.tables.duplicates import SeenContents
from iqa_jax.scoring.tables.part_files import Parts
from iqa_jax.scoring.tables.writers import TABLE_WRITERS, check_writer

_PAGE = ".html"


def predict(
    workdir: Workdir, images: str, output: str, shard: str = "", deduplicate: bool = False
) -> int:
    """Scores the images of a folder, pattern, list or table into a file.

    One row per input, in their order. A start that was stopped, even by a kill, goes on where it
    was when the same command is started again.

    Args:
        workdir: of the run.
        images: a folder, a pattern such as `photos/**/*.jpg`, an image, a `.txt` with a path per
            line, a CSV or Parquet table with a column `path`, or the folder of a prepared data set.
        output: `.csv`, `.jsonl` or `.parquet`; appears when it is complete. Until then its rows are
            in the folder `<output>.parts`. `.html` is a page to look at, with the `.csv` beside it.
        shard: `i/n`: score only the i-th (from 0) of n equal parts of the inputs, into
            `<name>-0000i-of-0000n<ending>`.
        deduplicate: score equal files once; every input has its row all the same.

    Returns:
        The exit status: 0, or `SOME_FAILED` if an image has an error instead of a score.

    Raises:
        WorkdirError, CheckpointError, ManifestError, ImageError, InUseError, MissingExtraError:
            with a sentence.
    """
    number, count = _parse_shard(shard)
    target = Path(output)
    endings = (*TABLE_WRITERS, _PAGE)
    if target.suffix not in endings:
        raise WorkdirError(f"--output={output}: the ending must be one of {', '.join(endings)}.")
    check_writer(target.suffix)
    if not target.parent.is_dir():
        hint = slash_hint(target.parent)
        raise WorkdirError(f"--output={output}: there is no folder {target.parent}{hint}.")
    if shard:
        target = target.with_stem(f"{target.stem}-{number:05}-of-{count:05}")
    page = target if target.suffix == _PAGE else None
    target = target.with_suffix(".csv") if page else target
    with locked(target.with_name(target.name + ".lock"), target, "--mode=predict"):
        return _predict_into(target, page, workdir, images, number, count, deduplicate)


def _predict_into(
    target: Path,
    page: Path | None,
    workdir: Workdir,
    images: str,
    number: int,
    count: int,
    deduplicate: bool,
) -> int:
    scorer = load_scorer(workdir.folder)
    listing = listing_from_config(workdir.config(), images, target.parent)
    with listing, Parts(target) as parts:
        start, stop = shard_bounds(len(listing), number, count)
        parts.open(
            {
                "the list of images": listing.digest,
                "--shard": f"{number}/{count}",
                "--deduplicate": str(deduplicate),
                **scorer.fingerprint(),
            }
        )
        done, tiles, began = parts.done, 0, time.monotonic()
        if done:
            say(f"going on after {done} finished rows in {parts.folder}")
        seen = SeenContents(parts.read()) if deduplicate else None
        rows = scorer.rows(listing.read(start + done, stop), seen)
        with meter("scored", stop - start) as progress:
            for scored, row in enumerate(rows, start=1):
                parts.add(row)
                tiles += row["tiles"]
                seconds = time.monotonic() - began
                rate = f"{scored / seconds:.1f} images/s, {tiles / seconds:.0f} tiles/s"
                progress.update(done + scored, rate)
        if page:
            # Before the parts go: a start that is killed here makes the page anew.
            _write_page(page, scorer, parts, listing.read(start, stop))
        errors = parts.finish(scorer.columns)
        say(f"{stop - start} images scored, {errors} with an error instead; see {page or target}")
        if listing.passed_over:
            say(tell_passed_over(listing.passed_over))
    return SOME_FAILED if errors else 0


def _write_page(page: Path, scorer: QualityScorer, parts: Parts, inputs: Iterable[Input]) -> None:
    # Here, since Matplotlib takes a second to import and no table needs it.
    from iqa_jax.reporting.score_page import write_scores

    try:
        write_scores(page, parts.read, inputs, scorer.source_of, scorer.kind, parts.target.name)
    except OSError as error:
        raise WorkdirError(
            f"{page} cannot be written ({error.strerror or error}): make room or choose another "
            "place, and start the same command again."
        ) from error


def _parse_shard(shard: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", shard or "0/1")
    number, count = map(int, match.groups()) if match else (0, 0)
    if number >= count:
        raise WorkdirError(f"--shard={shard}: give i/n with 0 <= i < n, such as 0/8 to 7/8.")
    return number, count
