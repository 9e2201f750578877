"""TFDS data sets of the published sets: importing this registers them for `tfds.load`.

    import tensorflow_datasets as tfds
    from input_pipeline.datasets import builders

    builder = tfds.builder("koniq10k", data_dir=DIR, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=FOLDER)
    )

FOLDER is the set's original folder. `tfds build koniq10k --manual_dir=FOLDER
--imports=input_pipeline.datasets.builders` does the same where apache-beam and mlcroissant are
installed, which that command of TFDS imports for every set. Splits are those that the makers of the
set publish; else train, val and test, 70, 15 and 15 % of the images, drawn by group: distortions of
one reference image stay together.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from input_pipeline.datasets import DATASETS
from input_pipeline.datasets.layouts import LayoutError, OpinionSet, missing_images
from input_pipeline.extras import extra
from input_pipeline.tables.manifest import DEFAULT_FRACTIONS
from input_pipeline.tables.splits import assign_splits

with extra("tfds"):
    import tensorflow_datasets as tfds


# TFDS has no annotations, and without them the type checker does not know this argument.
class OpinionBuilder(  # pyright: ignore[reportGeneralTypeIssues]
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # pyright: ignore[reportCallIssue]
):
    """Makes a TFDS data set of a published set of opinion scores."""

    VERSION = tfds.core.Version("1.0.0")
    OPINION_SET: ClassVar[OpinionSet]

    def _info(self) -> tfds.core.DatasetInfo:
        opinion_set = self.OPINION_SET
        numbers = dict.fromkeys(opinion_set.columns, "as the set's score file has it")
        if "mos_std" in numbers:
            numbers["mos_std"] = "standard deviation of the opinions, as the set has it"
        scale = f"from {opinion_set.minimum:g} to {opinion_set.maximum:g}"
        direction = "higher" if opinion_set.higher_is_better else "lower"
        numbers = {"mos": f"mean opinion {scale}, {direction} is better", **numbers}
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"Images of {opinion_set.title} with the mean opinion of people about "
            f"each, {scale}, {direction} is better.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(doc="the file as the set has it"),
                    "path": tfds.features.Text(doc="of the file in the set's folder"),
                    "group": tfds.features.Text(
                        doc="the reference image, which no two splits share, or the image itself"
                    ),
                    **{
                        name: tfds.features.Text(doc="as the set has it")
                        for name in opinion_set.text_columns
                    },
                    **{
                        name: tfds.features.Scalar(np.float32, doc=doc)
                        for name, doc in numbers.items()
                    },
                }
            ),
            supervised_keys=("image", "mos"),
            homepage=opinion_set.home,
            citation=opinion_set.citation,
            metadata=tfds.core.MetadataDict(
                minimum=opinion_set.minimum,
                maximum=opinion_set.maximum,
                higher_is_better=opinion_set.higher_is_better,
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        folder = Path(dl_manager.manual_dir)
        table = self.OPINION_SET.table(folder)
        missing = missing_images(folder, table)
        if missing:
            # A set under a known name that holds less than that set would mislead.
            raise LayoutError(
                f"{folder}: {len(missing)} of the {len(table)} rated images are not there, such as "
                f"{missing[0]}. {self.OPINION_SET.instructions}"
            )
        if self.OPINION_SET.splits:
            splits = table.pop("split").to_numpy()
        else:
            splits = assign_splits(
                table["mos"].to_numpy(), table["group"].to_numpy(), DEFAULT_FRACTIONS, seed=0
            )
        return {
            name: self._generate_examples(folder, table[splits == name])
            for name in self.OPINION_SET.splits or DEFAULT_FRACTIONS
        }

    def _generate_examples(
        self, folder: Path, table: pd.DataFrame
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for row in table.to_dict("records"):
            yield row["path"], {"image": folder / row["path"], **row}


def _make_builder(opinion_set: OpinionSet) -> type[OpinionBuilder]:
    """Makes the builder of a set, which TFDS registers under the set's own name."""
    about = {
        "__module__": __name__,
        "__doc__": f"{opinion_set.title}.",
        "OPINION_SET": opinion_set,
        "MANUAL_DOWNLOAD_INSTRUCTIONS": opinion_set.instructions,
    }
    # TFDS takes the name apart at its capitals.
    name = "".join(part.capitalize() for part in opinion_set.name.split("_"))
    return type(name, (OpinionBuilder,), about)


BUILDERS = {name: _make_builder(opinion_set) for name, opinion_set in DATASETS.items()}
