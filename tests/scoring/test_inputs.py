"""What --images stands for."""

import numpy as np
import pandas as pd

from input_pipeline.files.images import load
from iqa_jax.scoring.inputs import listing_from_config


def test_predict_lists_its_records_with_their_content(prepared, tiny_config, tiny_manifest):
    names = pd.read_csv(tiny_manifest)["path"]
    tiny_config.data.features = ("exposure",)
    with listing_from_config(tiny_config, str(prepared["images"])) as listing:
        inputs = list(listing.read())
    assert sorted(one.name for one in inputs) == sorted(names)
    assert {one.name: one.features["exposure"] for one in inputs}["scene2_3.png"] == 23.0
    for one in inputs[:5]:
        ours = load(one.picture)
        np.testing.assert_array_equal(ours, load(tiny_manifest.parent / one.name))
