"""What is compiled is said once per shape, not per call."""

import numpy as np

from iqa_jax.host import progress
from iqa_jax.host.compiling import announce


def batch_of(tiles):
    return {"label": np.zeros(8), "tiles": np.zeros((8, tiles, 4, 4, 3), np.uint8)}


def test_a_line_per_shape(capsys):
    step = announce("train step", lambda state, batch: (state, len(batch["tiles"])))
    for tiles in (1, 1, 2, 1, 2):
        assert step("state", batch_of(tiles)) == ("state", 8)
    assert capsys.readouterr().err.splitlines() == [
        "compiling train step for tiles uint8[8,1,4,4,3]",
        "compiling train step for tiles uint8[8,2,4,4,3]",
    ]


def test_bare_tiles_and_embeddings_are_named(capsys):
    announce("encode", lambda *_: None)({}, np.zeros((2, 4, 4, 3), np.uint8), 1)
    announce("predict", lambda *_: None)({}, {"embeddings": np.zeros((2, 5), np.float32)})
    assert capsys.readouterr().err.splitlines() == [
        "compiling encode for tiles uint8[2,4,4,3]",
        "compiling predict for embeddings float32[2,5]",
    ]


def test_a_silent_process_says_nothing(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_is_silent", True)
    announce("train step", lambda *_: None)("state", batch_of(1))
    assert capsys.readouterr().err == ""
