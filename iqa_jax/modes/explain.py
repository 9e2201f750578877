"""Shows where images are bad: `--mode=explain`, and `load_explainer` from Python."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from input_pipeline.files.file_names import one_line
from input_pipeline.files.image_files import tell_passed_over
from iqa_jax.host.lock import sole_writer
from iqa_jax.host.progress import meter, say
from iqa_jax.modes import SOME_FAILED
from iqa_jax.reporting.figure_folder import COLUMNS, INDEX, PART, clear_folder, stem_of
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.image_explainer import Explanation, load_explainer
from iqa_jax.scoring.inputs import listing_from_config
from iqa_jax.scoring.tables.writers import TABLE_WRITERS


def explain(workdir: Workdir, images: str, output: str) -> int:
    """Writes a figure and the maps of every image into a folder, and `index.csv` of them.

    `NUMBER_name.png` has the photograph, tile scores, attention and Grad-CAM side by side, and the
    anomaly where the run has a detector;
    `NUMBER_name.npz` the maps [rows, columns] float32, `step` (pixels per cell), `height`,
    `width` and `score`. `index.csv` has a row per image, those with an error included, and
    appears when all are done. What an earlier start has written into the folder goes first.

    Args:
        workdir: of the run.
        images: as in `predict`.
        output: the folder, which holds nothing else; made if needed.

    Returns:
        The exit status: 0, or `SOME_FAILED` if an image has an error instead of a figure.

    Raises:
        WorkdirError, CheckpointError, ManifestError, ImageError, InUseError: with a sentence.
    """
    folder = Path(output)
    if folder.suffix in TABLE_WRITERS or folder.is_file():
        raise WorkdirError(
            f"--output={output}: --mode=explain writes a folder of figures; give --output=FOLDER."
        )
    with sole_writer(folder, "--mode=explain"):
        return _explain_into(folder, workdir, images)


def _explain_into(folder: Path, workdir: Workdir, images: str) -> int:
    explainer = load_explainer(workdir.folder)
    with listing_from_config(workdir.config(), images) as listing:
        inputs = list(listing.read())
    names, pictures = [one.name for one in inputs], [one.picture for one in inputs]
    table = pd.DataFrame([one.features for one in inputs]) if inputs[0].features else None
    clear_folder(folder, (one for one in pictures if isinstance(one, (str, os.PathLike))))
    part, errors = folder / PART, 0
    open_writer = TABLE_WRITERS[".csv"](part, COLUMNS)
    with meter("explained", len(pictures)) as progress, open_writer as write:
        explanations = explainer.explain_all(pictures, table)
        for place, (name, explanation) in enumerate(zip(names, explanations, strict=True)):
            row = {name: getattr(explanation, name) for name in ("error", "warning", "tiles")}
            row |= {"path": name}
            if explanation.error:
                errors += 1
                write([row])
            else:
                stem = stem_of(place, name)
                row |= {"figure": f"{stem}.png", "maps": f"{stem}.npz"}
                row |= {name: getattr(explanation, name) for name in ("score", "label", "anomaly")}
                # The row first: what a kill leaves behind is then listed.
                write([row])
                _write_files(folder / stem, name, explanation, explainer.score_range)
            progress.update(place + 1)
    part.replace(folder / INDEX)
    say(f"{len(pictures)} images explained, {errors} with an error instead; see {folder}")
    if listing.passed_over:
        say(tell_passed_over(listing.passed_over))
    return SOME_FAILED if errors else 0


def _write_files(
    target: Path, name: str, explanation: Explanation, score_range: tuple[float, float]
) -> None:
    """Writes the figure and the maps: the target with the endings .png and .npz."""
    # Imports matplotlib: only figures need it.
    from iqa_jax.reporting.pages.overlays import draw_overlays
    from iqa_jax.reporting.pages.pictures import thumbnail

    maps, image = explanation.maps, explanation.image
    label = f"  {explanation.label}" if explanation.label else ""
    draw_overlays(
        Path(f"{target}.png"),
        thumbnail(image),
        image.shape[:2],
        maps,
        title=f"{one_line(Path(name).name)}   score {explanation.score:.3f}{label}",
        explains=explanation.explains,
        score_range=score_range,
    )
    np.savez_compressed(
        f"{target}.npz",
        **{name: values for name, values in maps._asdict().items() if values is not None},
        height=image.shape[0],
        width=image.shape[1],
        score=explanation.score,
    )
