"""A scorer as StableHLO runs without Flax, for any number of tiles, on every platform."""

import json
import re
import subprocess
import sys
import zipfile

import jax
import jax.export
import numpy as np

from iqa_jax.run.config import kind_from_config
from iqa_jax.scoring.exported.answer import INPUTS, make_answer
from iqa_jax.scoring.exported.stablehlo import ABOUT, PROGRAM, write_stablehlo
from shallow import ShallowEncoder
from tile_networks import SIZE, make_tile_config, make_tile_network

PROGRAM_ALONE = """
import sys, zipfile
for name in ("flax", "iqa_jax", "configs", "input_pipeline"):
    sys.modules[name] = None
import jax.export, numpy as np
file, data = sys.argv[1:]
answer = jax.export.deserialize(bytearray(zipfile.ZipFile(file).read("answer.bin")))
given = np.load(data)
for count in (1, 5):
    tiles, mask, position = (given[name][:count] for name in given.files[:3])
    print(float(answer.call(tiles, mask, position, given["grid_shape"])["score"]))
"""


def test_it_runs_alone_with_the_same_answer(tmp_path):
    config = make_tile_config(**{"data.label_kind": "numeric", "model.fusion": "attention"})
    # With a depthwise layer, which has a form for each platform.
    network = make_tile_network(config, encoder=ShallowEncoder())
    answer = make_answer([network], kind_from_config(config), "attention", {})
    file, data = tmp_path / "x.stablehlo", tmp_path / "x.npz"
    write_stablehlo(answer, SIZE, {"purpose": "a test"}, file)
    with zipfile.ZipFile(file) as parts:
        assert json.loads(parts.read(ABOUT)) == {"purpose": "a test"}
        exported = jax.export.deserialize(bytearray(parts.read(PROGRAM)))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert str(exported.in_avals[0].shape) == f"(tile, {SIZE}, {SIZE}, 3)"
    # One form of the depthwise layer for accelerators, another one for the CPU.
    program = exported.mlir_module()
    assert re.search(r"feature_group_count = (?!1 )\d+", program) and "stablehlo.case" in program

    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 256, (5, SIZE, SIZE, 3)).astype(np.uint8)
    places = np.stack([np.arange(5) // 3, np.arange(5) % 3], axis=1).astype(np.int32)
    given = (tiles, np.arange(5) != 3, places, np.array([2, 3], np.int32))
    np.savez(data, **dict(zip(INPUTS, given, strict=True)))
    command = [sys.executable, "-c", PROGRAM_ALONE, file, data]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    answer = jax.jit(answer)
    wanted = [
        float(answer(*(one[:count] for one in given[:3]), given[3])["score"]) for count in (1, 5)
    ]
    assert abs(wanted[0] - wanted[1]) > 0.01
    np.testing.assert_allclose([float(line) for line in said.split()], wanted, atol=1e-4)
