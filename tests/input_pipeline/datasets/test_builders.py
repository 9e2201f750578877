"""TFDS data sets of the published sets have the same images and scores, or are refused."""

import numpy as np
import pytest
from PIL import Image

from input_pipeline.datasets import DATASETS
from input_pipeline.datasets.layouts import LayoutError
from published_sets import lay_out_koniq10k


@pytest.mark.parametrize("name", DATASETS)
def test_a_builder_gives_the_same_images_and_scores(name, layouts, tmp_path):
    import tensorflow_datasets as tfds

    from input_pipeline.datasets import builders  # noqa: F401, registers them.

    opinions, folder = DATASETS[name], layouts[name]
    builder = tfds.builder(name, data_dir=tmp_path, file_format="array_record")
    config = tfds.download.DownloadConfig(manual_dir=folder)
    table = opinions.table(folder)
    if table["group"].nunique() < 3:
        pytest.fail("three splits need three groups")
    builder.download_and_prepare(download_config=config)
    info = tfds.builder_from_directory(builder.data_dir).info
    assert info.metadata["minimum"] == opinions.minimum
    assert info.metadata["higher_is_better"] is opinions.higher_is_better
    assert set(info.splits) == set(opinions.splits or ("train", "val", "test"))
    groups, rows = [], {}
    for split in info.splits:
        source = builder.as_data_source(split)
        examples = [source[index] for index in range(len(source))]
        groups += {example["group"] for example in examples}
        if opinions.splits:
            names = set(table["path"][table["split"] == split])
            assert {example["path"].decode() for example in examples} == names
        rows |= {example["path"].decode(): example for example in examples}
    assert len(set(groups)) == len(groups)  # No split shares one with another.
    assert len(rows) == len(table)
    for row in table.to_dict("records"):
        example = rows[row["path"]]
        np.testing.assert_array_equal(example["image"], Image.open(folder / row["path"]))
        for column in ("mos", *opinions.columns):
            assert example[column] == np.float32(row[column])
        for column in opinions.text_columns:
            assert example[column].decode() == row[column]


def test_a_builder_refuses_a_set_that_is_not_whole(layouts, tmp_path):
    import tensorflow_datasets as tfds

    from input_pipeline.datasets.builders import BUILDERS

    folder = tmp_path / "set"
    folder.mkdir()
    lay_out_koniq10k(folder)
    (folder / "1024x768" / "10007357496.jpg").unlink()
    builder = BUILDERS["koniq10k"](data_dir=tmp_path / "data")
    with pytest.raises(LayoutError, match="1 of the 3 rated images are not there"):
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=folder)
        )
