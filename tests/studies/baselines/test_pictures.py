"""Features of whole pictures are computed once a picture."""

import numpy as np

from baseline_rows import open_rows
from iqa_jax.studies.baselines.pictures import PictureFeatures
from iqa_jax.studies.baselines.rows import Rows


def test_a_picture_is_described_once(blurred):
    train, test = open_rows(blurred)
    seen = []

    def compute(image):
        seen.append(image.mean())
        return np.array([image.mean()])

    describe = PictureFeatures("", compute)
    everything = Rows(train.manifest, train.source, np.arange(50))
    first, _ = describe(everything, 2)
    again, _ = describe(Rows(train.manifest, train.source, train.image_ids[::-1]), 2)
    assert len(seen) == 50
    np.testing.assert_array_equal(again, first[train.image_ids[::-1]])
