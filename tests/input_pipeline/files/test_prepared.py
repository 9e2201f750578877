"""A prepared data set is read without TensorFlow, wherever it lies, or refused."""

import dataclasses
import json
import shutil
import sys

import pytest

from input_pipeline.files.images import ImageError
from input_pipeline.tables.table_files import ManifestError
from iqa_jax.run import build
from programs import run_program


def open_data(config):
    manifest = build.manifest_from_config(config)
    return manifest, build.source_from_config(config, manifest, cached=True)


def test_reading_needs_no_tensorflow(prepared):
    code = (
        "import sys; from input_pipeline.files.prepared import open_file; "
        f"assert open_file({str(prepared['images'] / 'train[27]')!r}).read(4) == b'\\x89PNG'; "
        "assert 'tensorflow' not in sys.modules"
    )
    run_program([sys.executable, "-c", code])


def test_a_folder_that_is_no_prepared_set_is_refused_in_a_sentence(prepared, tiny_config, tmp_path):
    def problem_with(path):
        tiny_config.data.manifest = str(path)
        with pytest.raises(ManifestError) as caught:
            build.manifest_from_config(tiny_config)
        (sentence,) = caught.value.problems
        return sentence

    assert "no data set that --mode=prepare has written" in problem_with(tmp_path)
    assert "did you mean 'images'" in problem_with(prepared["images"].parent / "imags")
    copy = tmp_path / "copy"
    shutil.copytree(prepared["images"], copy)
    mark = json.loads((copy / "iqa_jax.json").read_text())
    for change, sentence in ((json.dumps(mark | {"format": 0}), "in format 0"),
                             ("torn", "in format None")):  # fmt: skip
        (copy / "iqa_jax.json").write_text(change)
        assert sentence in problem_with(copy)
    (copy / "iqa_jax.json").write_text(json.dumps(mark))
    tiny_config.data.manifest = str(copy)
    for path in copy.glob("images-val*"):
        path.unlink()
    manifest, source = open_data(tiny_config)
    lost = manifest.split("val").index[0]
    with pytest.raises(ImageError, match=r"copy/val\[0\]: it cannot be read \(the record cannot"):
        source.image(lost)
    assert source.image(manifest.split("train").index[0]).shape == (64, 64, 3)


def test_a_moved_data_set_is_the_same(prepared, tiny_config, tmp_path):
    shutil.copytree(prepared["images"], tmp_path / "elsewhere" / "set")
    tiny_config.data.manifest = str(prepared["images"])
    other = tiny_config.copy_and_resolve_references()
    other.data.manifest = str(tmp_path / "elsewhere" / "set")
    (manifest, source), (moved, same) = open_data(tiny_config), open_data(other)
    assert manifest.digest == moved.digest
    assert dataclasses.asdict(manifest.label) == dataclasses.asdict(moved.label)
    assert source.content(5) == same.content(5)
