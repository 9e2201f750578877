"""Pictures whose quality is known, and the config of baselines on them."""

import cv2
import numpy as np
import pandas as pd
import pytest
import skimage.data

from configs import mos
from tiny import TINY

STRENGTHS = np.linspace(0, 2.5, 10)


@pytest.fixture(scope="session")
def blurred(tmp_path_factory):
    """A manifest of crops of five photos, each blurred by ten degrees; less blur is better."""
    folder = tmp_path_factory.mktemp("blurred")
    photos = ["astronaut", "chelsea", "coffee", "rocket", "camera"]
    rows = []
    for number, name in enumerate(photos):
        photo = np.atleast_3d(getattr(skimage.data, name)())[100:228, 100:228]
        for strength in STRENGTHS:
            image = cv2.GaussianBlur(photo, (0, 0), 0.1 + strength)
            path = f"{name}_{strength:.2f}.png"
            cv2.imwrite(str(folder / path), image)
            split = "test" if number == 4 else "train"
            rows.append((path, 90 - 30 * strength, name, split))
    manifest = folder / "manifest.csv"
    pd.DataFrame(rows, columns=["path", "label", "group", "split"]).to_csv(manifest, index=False)
    return manifest


@pytest.fixture
def crops_config(blurred):
    """The keys of the recipe for opinion scores, in small."""
    config = mos.get_config()
    # Its encoder compiles in seconds.
    config.update_from_flattened_dict(TINY)
    config.data.manifest, config.data.label_column = str(blurred), "label"
    config.data.features = ("edge_sum",)
    return config
