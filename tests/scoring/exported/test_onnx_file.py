"""A scorer as ONNX: what onnxruntime makes of every fusion, head and encoder is what JAX makes."""

import json

import jax
import numpy as np
import pytest
import skimage.data

from input_pipeline.tiles.tiling import Tiling, cut, grid
from input_pipeline.tiles.views import resize
from iqa_jax.modes.export import export
from iqa_jax.run.config import kind_from_config
from iqa_jax.run.packed import open_run
from iqa_jax.run.workdir import WorkdirError
from iqa_jax.scoring.exported.answer import INPUTS, make_answer
from iqa_jax.scoring.exported.onnx_file import write_onnx
from iqa_jax.scoring.quality_scorer import load_scorer
from tile_networks import SIZE, make_tile_config, make_tile_network

NUMERIC = {"data.label_kind": "numeric"}
GRADES = {"data.label_kind": "ordered", "data.classes": ("bad", "fair", "good")}
POSITIONS, VIT = "fusion.gated_attention_positions.positions", "fusion.tile_vit."
# Fusion, label kind and loss, each at least once; the readouts and positions of fusions too.
CASES = {
    "mean_embedding": {**NUMERIC, "loss.name": "huber", "model.norm_embeddings": True},
    "max_embedding": {**NUMERIC, "loss.name": "emd", "model.hidden_dim": 0},
    "attention": {**GRADES, "loss.name": "coral"},
    "gated_attention": {**GRADES, "loss.name": "corn"},
    "gated_attention_positions": {"loss.name": "cross_entropy", POSITIONS: "sincos_2d"},
    "gated_attention_positions 1": {"loss.name": "supcon", POSITIONS: "learned_1d"},
    "gated_attention_positions 2": {**NUMERIC, POSITIONS: "learned_2d"},
    "gated_attention_positions 3": {**NUMERIC, POSITIONS: "hash_grid"},
    "tile_vit": {"data.label_kind": "pairs", VIT + "depth": 1},
    "tile_vit 1": {**NUMERIC, VIT + "depth": 1, VIT + "readout": "attention"},
    "tile_vit 2": {**NUMERIC, VIT + "depth": 1, VIT + "readout": "mean"},
}


def cut_photo(photo, size):
    origins, positions, shape = grid(*photo.shape[:2], Tiling(size, size))
    tiles = cut(photo, origins, size)
    return tiles, np.ones(len(tiles), bool), positions, np.array(shape, np.int32)


def ask(path, given):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path))
    names = [one.name for one in session.get_outputs()]
    given = dict(zip(INPUTS, given, strict=True))
    return dict(zip(names, session.run(None, given), strict=True))


def check(answer, size, path, photos):
    write_onnx(answer, size, {}, path)
    for photo in photos:
        tiles, mask, *places = cut_photo(photo, size)
        mask = np.arange(len(mask)) < max(1, len(mask) - 1)
        given = (tiles, mask, *places)
        got, wanted = ask(path, given), jax.jit(answer)(*given)
        assert set(got) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(got[name], value, atol=1e-4, rtol=0)
        assert len(tiles) == 1 or np.ptp(got["tile_scores"]) > 0.001


@pytest.fixture(autouse=True)
def _onnx():
    pytest.importorskip("onnx")


@pytest.mark.parametrize("case", CASES)
def test_every_fusion_and_head(case, tmp_path):
    fusion = case.split()[0]
    config = make_tile_config(**{"model.fusion": fusion, **CASES[case]})
    kind, network = kind_from_config(config), make_tile_network(config)
    answer = make_answer([network], kind, fusion, {})
    photo = skimage.data.coffee()[100:132, 200:248]
    check(answer, SIZE, tmp_path / "x.onnx", [photo[:16, :16], photo])


@pytest.mark.parametrize("encoder", ["shallow_cnn", "mobilenet_v2"])
def test_every_encoder(encoder, tmp_path):
    changes = {"model.encoder": encoder, "encoder.mobilenet_v2.width_multiplier": 0.1}
    changes |= {"tiles.size": 32, "tiles.stride": 32, "model.pooling": "layers"}
    config = make_tile_config(**changes)
    network = make_tile_network(config, encoder=None)
    answer = make_answer([network], kind_from_config(config), "vote", {})
    check(answer, 32, tmp_path / "x.onnx", [skimage.data.astronaut()[100:164, 200:264]])


@pytest.mark.usefixtures("one_device")
def test_the_scorer_of_photographs(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "photos.onnx"
    assert export(open_run(""), str(path)) == 0
    # Its shorter side is that to which the scorer brings larger images.
    photo = np.ascontiguousarray(skimage.data.astronaut())
    told = onnx.load(path).metadata_props
    about = {one.key: json.loads(one.value) for one in told}
    # The caller averages over the views.
    looks = [resize(photo, view["scale"]) for view in about["views"]]
    got = np.mean([ask(path, cut_photo(look, 256))["score"] for look in looks])
    wanted = load_scorer().score([photo])["score"]
    # Of a scale up to 100.
    np.testing.assert_allclose(got, wanted[0], atol=1e-3, rtol=0)
    assert about["tiles"]["reference_side"] == 512 and about["tiles"]["size"] == 256
    assert about["label"]["maximum"] == 100 and about["label"]["higher_is_better"] is True
    assert [view["scale"] for view in about["views"]] == [1.0, 0.5] and about["networks"] == 1


def test_what_hardly_a_program_computes_in_is_refused(tmp_path):
    config = make_tile_config(**{"model.fusion": "attention", "model.dtype": "bfloat16"})
    answer = make_answer([make_tile_network(config)], kind_from_config(config), "attention", {})
    with pytest.raises(WorkdirError, match="model.dtype=bfloat16 cannot be exported as .onnx"):
        write_onnx(answer, SIZE, {}, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
