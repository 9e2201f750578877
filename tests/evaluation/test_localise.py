"""Maps are judged on the images that have a mask which fits."""

import numpy as np
import pandas as pd
from PIL import Image

from input_pipeline.tiles.sources import TileSource
from iqa_jax.evaluation.localise import localise
from iqa_jax.run import build
from iqa_jax.run.workdir import Workdir
from iqa_jax.scoring.explainer import explainer_from_config
from iqa_jax.scoring.fitted.probe import variables_from_config


def test_localisation_of_a_split(tiny_run, tiny_manifest, tmp_path):
    workdir = Workdir(tiny_run)
    config = workdir.config()
    table = pd.read_csv(tiny_manifest)
    region = np.zeros((64, 64), bool)
    region[:, 32:] = True
    Image.fromarray(region).save(tmp_path / "half.png")
    Image.fromarray(region[:9]).save(tmp_path / "small.png")
    is_test = np.flatnonzero(table["split"] == "test")
    table["path"] = [str(tiny_manifest.parent / name) for name in table["path"]]
    table["region"] = ""
    table.loc[is_test[:3], "region"] = "half.png"
    table.loc[is_test[3], "region"] = "small.png"
    table.loc[is_test[4], "region"] = "nowhere.png"
    table.to_csv(tmp_path / "manifest.csv", index=False)
    manifest = build.manifest_from_config(config, tmp_path / "manifest.csv")
    source = TileSource(
        list(manifest.images["path"]), build.tiling_from_config(config), max_pixels=10**6
    )
    variables, _ = variables_from_config(workdir, config)
    arguments = (explainer_from_config(config), variables, manifest, source, workdir.features())
    limits = {"max_pixels": 10**6, "threads": 2}
    found = localise(*arguments, "test", **limits)
    # Masks that do not fit or cannot be read are left out; so are images without one.
    assert found["images"] == 3 and found["region_share"] == 0.5
    assert set(found["maps"]) == {"grad_cam", "attention", "tile_scores"}
    # The fusion is a mean: all tiles count the same, which is chance.
    assert found["maps"]["attention"] == {"pixel_auc": 0.5, "pointing_game": 0.5}
    assert localise(*arguments, "val", **limits) is None
