"""What training reads of its data."""

import pandas as pd
import pytest

from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir
from iqa_jax.training.data import prepare_training
from iqa_jax.training.training_error import TrainingError


def write(folder, rows, columns=("image", "row", "column")):
    path = folder / "dropped_tiles.csv"
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    return path


def test_training_reads_the_list_and_evaluation_does_not(tiny_config, tmp_path):
    config = tiny_config
    config.data.features = ()
    manifest = build.manifest_from_config(config)
    train, val = (manifest.split(name) for name in ("train", "val"))
    images = [train["name"].iloc[0], val["name"].iloc[0]]
    config.data.dropped_tiles = str(write(tmp_path, [(name, 1, 0) for name in images]))
    data = prepare_training(config, build.manifest_from_config(config), Workdir(tmp_path))
    first = int(train.index[0])
    assert data.index.number[data.index.image_id == first].tolist() == [0, 1, 3]
    # 24 labelled training images of four tiles.
    assert len(data.index) == 95
    # Manifests that are only answered know no such list.
    assert not build.manifest_from_config(config, whole="all").dropped_tiles

    bad = train["name"][train["label"] == 0]
    rows = [(name, row, column) for name in bad for row in (0, 1) for column in (0, 1)]
    config.data.dropped_tiles = str(write(tmp_path, rows))
    with pytest.raises(TrainingError, match="no training tile is left of bad.*or shorten"):
        prepare_training(config, build.manifest_from_config(config), Workdir(tmp_path))
