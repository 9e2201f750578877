"""Names of any bytes: each has its row, is read by its true name, and is written as text."""

import json
import os
import shutil

import pandas as pd
import pytest

from input_pipeline.batches.rankings import make_versions
from input_pipeline.checks.audit import audit, format_audit
from input_pipeline.checks.leaks import identify_images
from input_pipeline.files.file_names import name_text, one_line
from input_pipeline.files.images import ImageError
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tables.pairs import read_pairs
from input_pipeline.tables.table_files import ManifestError
from input_pipeline.tiles.sources import TileSource, pictures_of
from input_pipeline.tiles.tiling import Tiling
from iqa_jax.host.progress import say
from iqa_jax.modes import SOME_FAILED
from iqa_jax.modes.explain import explain
from iqa_jax.modes.predict import predict
from iqa_jax.run.workdir import Workdir, WorkdirError

NAMES = (
    b"-x.png", b"[x].png", b"a,b;c.png", b"caf\xe9.png", b"cr\rx.png", b"line\nbreak.png",
    b'q"uo\'te.png', b"steer\x1b[31m.png", "😀 é.png".encode(), b"n" * 251 + b".png",
)  # fmt: skip
BAD = b"bad\xff\n.jpg"


@pytest.fixture
def photos(tmp_path, tiny_manifest):
    """A folder whose own name is no UTF-8, of pictures by all these names and a file that is none.

    A file system that wants UTF-8 (that of a Mac) has no such names to test.
    """
    folder = os.path.join(os.fsencode(tmp_path), b"photos\xe9")
    try:
        os.mkdir(folder)
        for name in NAMES:
            shutil.copy(tiny_manifest.parent / "scene0_0.png", os.path.join(folder, name))
    except OSError:
        pytest.skip("this file system has no such names")
    with open(os.path.join(folder, BAD), "w") as file:
        file.write("no image")
    return os.fsdecode(folder)


def shown(folder: str, names=(*NAMES, BAD)) -> list[str]:
    """The paths of the folder as tables have them, in their order."""
    texts = sorted(os.fsdecode(name) for name in names)
    return [f"{folder}/{text}".encode(errors="surrogateescape").decode(errors="backslashreplace")
            for text in texts]  # fmt: skip


def test_names_as_text():
    name = os.fsdecode(b"a\xff\n\x1b\\xe9 \xc3\xa9")
    assert name_text(name) == "a\\xff\n\x1b\\xe9 é"
    assert one_line(name) == one_line(one_line(name)) == "a\\xff\\n\\x1b\\xe9 é"
    assert name_text("\ud800") == "\\ud800"
    assert str(ImageError(name)) == one_line(name)
    assert ManifestError(name, [name]).problems == [one_line(name)]


@pytest.mark.parametrize("deduplicate", [False, True])
def test_predict_writes_tables_that_others_read(tiny_run, photos, tmp_path, capsys, deduplicate):
    readers = {
        "csv": lambda path: pd.read_csv(path, keep_default_na=False),
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "parquet": pd.read_parquet,
    }
    output = os.fsdecode(os.path.join(os.fsencode(photos), b"scores\xe9."))
    for ending, read in readers.items():
        code = predict(Workdir(tiny_run), photos, output + ending, deduplicate=deduplicate)
        assert code == SOME_FAILED
        with open(output + ending, "rb") as file:
            table = read(file)
        assert list(table["path"]) == shown(photos)
        is_bad = table["error"] != ""
        assert list(table["path"][is_bad]) == shown(photos, [BAD])
        assert one_line(shown(photos, [BAD])[0]) in table["error"][is_bad].item()
        assert table["score"][~is_bad].astype(float).nunique() == 1
        os.remove(output + ending)
    assert r"scores\xe9.csv" in capsys.readouterr().out


def test_explain_writes_an_index_that_others_read(tiny_run, photos, tmp_path):
    output = tmp_path / "explained"
    assert explain(Workdir(tiny_run), photos, str(output)) == SOME_FAILED
    index = pd.read_csv(output / "index.csv", keep_default_na=False)
    assert list(index["path"]) == shown(photos)
    files = {*index["figure"], *index["maps"]} - {""}
    assert len(files) == 2 * len(NAMES) and {*os.listdir(output)} == files | {"index.csv"}


def test_a_folder_as_a_manifest(photos):
    manifest = read_manifest(photos, LabelSpec(kind="ranking"))
    assert [f"{name_text(photos)}/{name}" for name in manifest.images["name"]] == shown(photos)
    assert [os.fsencode(path) for path in manifest.images["path"]] == sorted(
        (os.path.join(os.fsencode(photos), name) for name in (*NAMES, BAD)), key=os.fsdecode
    )
    found = audit(manifest, tiling=Tiling(32, 32), max_pixels=10**6)
    (bad,) = found.bad_images.values()
    assert r"bad\xff\n.jpg: not an image" in bad
    format_audit(found).encode()
    source = TileSource(pictures_of(manifest), Tiling(32, 32), max_pixels=10**6)
    places = identify_images(manifest, source)
    assert list(places["place"]) == shown(os.path.realpath(photos))
    versions, pictures = make_versions(manifest, ["jpeg"], [], crop=32, seed=0)
    assert len(versions.images) == len(pictures) and r"caf\xe9.png" in "".join(
        versions.images["name"]
    )


def test_tables_below_a_folder_of_any_name(photos):
    path = os.path.join(photos, "table.csv")
    pd.DataFrame({"path": ["-x.png", "[x].png"], "label": [1, 2]}).to_csv(path, index=False)
    spec = LabelSpec(kind="numeric", column="label", minimum=0, maximum=9)
    images = read_manifest(path, spec, fractions={"train": 1.0}).images
    assert list(images["path"]) == [f"{photos}/-x.png", f"{photos}/[x].png"]
    table = pd.DataFrame({"path_a": ["-x.png"], "path_b": ["[x].png"], "preference": ["a"]})
    table.to_csv(path, index=False)
    paths = read_pairs(path, fractions={"train": 1.0}, seed=0).images["path"]
    assert list(paths) == [f"{photos}/-x.png", f"{photos}/[x].png"]
    with open(os.path.join(photos, "table.parquet"), "wb") as file:
        pd.DataFrame({"path": ["-x.png"]}).to_parquet(file)
    assert len(read_manifest(os.path.join(photos, "table.parquet"), None).images) == 1
    with pytest.raises(ManifestError, match=r"photos\\xe9"):
        read_manifest(os.path.join(photos, "nowhere.csv"), None)


def test_a_workdir_of_any_name_is_refused_before_training(photos):
    with pytest.raises(WorkdirError, match=r"photos\\xe9.*names are UTF-8"):
        Workdir(photos)


def test_what_is_said_can_always_be_printed(capsys):
    say(os.fsdecode(b"see caf\xe9.csv"))
    text = capsys.readouterr().out
    assert text == "see caf\\xe9.csv\n" and json.dumps(text).isascii()
