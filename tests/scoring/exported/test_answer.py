"""What an exported file computes is what the program answers."""

import jax
import numpy as np
import pytest
import skimage.data

from input_pipeline.batches.whole_bags import whole_bags
from input_pipeline.tiles.features import FeatureTable
from input_pipeline.tiles.sources import TileSource
from input_pipeline.tiles.tiling import Tiling, cut, grid
from input_pipeline.tiles.views import PLAIN
from iqa_jax.analysis.calibration_map import CalibrationMap
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.workdir import Workdir, WorkdirError
from iqa_jax.scoring.exported.answer import answer_from_config, make_answer
from iqa_jax.scoring.scorer import Scorer
from iqa_jax.scoring.trained_run import TrainedRun
from tile_networks import SIZE, make_tile_config, make_tile_network

TILING = Tiling(SIZE, SIZE)
PHOTO = np.ascontiguousarray(skimage.data.astronaut()[100:165, 200:250])
GRADES = {"data.label_kind": "ordered", "data.classes": ("bad", "fair", "good")}
CASES = {
    "lower is better": (
        {"data.label_kind": "numeric", "data.minimum": 1.0, "data.higher_is_better": False},
        "mean_score",
        None,
    ),
    "calibrated vote": (
        {"model.fusion": "attention"},
        "vote",
        CalibrationMap(1.7, (0.4, -0.4), 0.999, False, 50),
    ),
    "calibrated grades": (
        {"model.fusion": "gated_attention", "loss.name": "corn", **GRADES},
        "gated_attention",
        CalibrationMap(0.8, (1.1, -0.6), 0.7, True, 50),
    ),
    "names": (
        {"data.label_kind": "unordered", "data.classes": ("sharp", "soft", "noisy")},
        "mean_score",
        CalibrationMap(2.0, (0.3, 0.1, -0.4), 0.9, False, 50),
    ),
}


def with_kernel_ridge(network):
    dim, outputs = 12, network.task.outputs
    rng = np.random.default_rng(5)
    head = {
        "support": rng.normal(size=(7, dim)).astype(np.float32),
        "dual": rng.normal(size=(7, outputs)).astype(np.float32),
        "offset": np.ones(outputs, np.float32),
        "gamma": np.float32(0.1),
    }
    return network._replace(variables={**network.variables, "kernel_ridge": {"head": head}})


@pytest.mark.usefixtures("one_device")
@pytest.mark.parametrize("case", CASES)
def test_equals_the_programs_answer(case):
    changes, headline, found = CASES[case]
    config = make_tile_config(**changes)
    kind, own = kind_from_config(config), make_tile_network(config)
    members = []
    if case == "lower is better":
        own, members = with_kernel_ridge(own), [make_tile_network(config, seed=1)]
    calibration = {headline: found} if found else {}
    scorer = Scorer(
        own.model, own.task, kind=kind.name, fusion=config.model.fusion, headline=headline,
        tiles_per_chunk=16, members=members, calibration=calibration,
    )  # fmt: skip
    source = TileSource([PHOTO], TILING, max_pixels=10**6)
    bags = whole_bags(source, range(1), FeatureTable(), threads=1, views=(PLAIN,))
    (wanted,) = scorer.score(own.variables, bags)

    origins, positions, shape = grid(*PHOTO.shape[:2], TILING)
    tiles = cut(PHOTO, origins, SIZE)
    # Padding, whose pixels and places must not matter.
    tiles = np.concatenate([tiles, np.full((3, SIZE, SIZE, 3), 200, np.uint8)])
    positions = np.concatenate([positions, np.full((3, 2), 7, np.int32)])
    count, mask = len(origins), np.arange(len(tiles)) < len(origins)
    assert count == 20
    answer = jax.jit(make_answer([own, *members], kind, headline, calibration))
    got = answer(tiles, mask, positions, np.array(shape, np.int32))

    score = kind.written_score(wanted.values[headline])
    np.testing.assert_allclose(got["score"], score, rtol=1e-5, atol=1e-5)
    tile_scores = kind.written_score(wanted.tile_values)
    assert np.ptp(tile_scores) > 0.01
    np.testing.assert_allclose(got["tile_scores"][:count], tile_scores, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got["attention"][:count], wanted.attention, atol=1e-6)
    assert not got["attention"][count:].any()
    assert ("probabilities" in got) == kind.has_classes
    if kind.has_classes:
        np.testing.assert_allclose(got["probabilities"], wanted.values[headline], atol=1e-5)


def test_an_image_without_tiles_gets_the_prior():
    config = make_tile_config(**{"data.label_kind": "numeric"})
    answer = make_answer([make_tile_network(config)], kind_from_config(config), "mean_score", {})
    nothing = np.zeros((2, SIZE, SIZE, 3), np.uint8), np.zeros(2, bool)
    got = jax.jit(answer)(*nothing, np.zeros((2, 2), np.int32), np.ones(2, np.int32))
    assert got["score"] == 50 and not got["attention"].any()


def test_what_is_measured_outside_the_network_is_refused(tiny_run):
    workdir = Workdir(tiny_run)
    with pytest.raises(WorkdirError, match=r"also answers by n_tiles, edge_sum \(data.features\)"):
        answer_from_config(workdir.config(), TrainedRun.open(workdir))
