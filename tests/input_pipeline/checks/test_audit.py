"""The audit reads every file, names each bad one, and finds what leaks between splits."""

import io
import json
import zlib

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from input_pipeline.checks.audit import audit, format_audit
from input_pipeline.tables.labels import LabelSpec
from input_pipeline.tables.manifest import read_manifest
from input_pipeline.tiles.tiling import Tiling

QUALITY = LabelSpec("binary", classes=("bad", "good"), marginal="marginal")
SCENES = {
    "astronaut": skimage.data.astronaut(),
    "chelsea": skimage.data.chelsea(),
    "coffee": skimage.data.coffee(),
    "rocket": skimage.data.rocket(),
}


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


FILES = {name: png(image) for name, image in SCENES.items()}


def audit_rows(folder, rows, header="path,label,split,group", label=QUALITY, **options):
    """Writes (line of the table, content of its file) and audits the table."""
    for line, content in rows:
        if content is not None:
            path = folder / line.split(",")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    text = "\n".join([header, *(line for line, _ in rows)])
    (folder / "manifest.csv").write_text(text)
    manifest = read_manifest(folder / "manifest.csv", label)
    options = {"tiling": Tiling(128, 128), "max_pixels": 1_000_000, **options}
    return audit(manifest, **options)


def clean_rows():
    """Four different scenes that fill train and val."""
    return [
        ("a.png,good,train,a", FILES["astronaut"]),
        ("b.png,bad,train,b", FILES["chelsea"]),
        ("c.png,good,val,c", FILES["coffee"]),
        ("d.png,bad,val,d", FILES["rocket"]),
    ]


def test_tiles_are_counted_of_what_will_be_cut(tmp_path):
    found = audit_rows(tmp_path, clean_rows(), tiling=Tiling(128, 128, reference_side=300))
    # 512 × 512, 300 × 451, 400 × 600 and 427 × 640: the second stays, the others are 300 high.
    assert found.table["tiles"].tolist() == [3 * 3, 3 * 4, 3 * 4, 3 * 4]
    assert found.table["height"].tolist() == [512, 300, 400, 427] and not found.warnings


def test_a_clean_manifest_has_no_findings_and_true_counts(tmp_path):
    steps = []
    found = audit_rows(tmp_path, clean_rows(), progress=lambda *step: steps.append(step))
    assert (found.errors, found.warnings, found.bad_images) == ([], [], {})
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    sizes = [image.shape[:2] for image in SCENES.values()]
    assert found.table[["height", "width"]].values.tolist() == [list(size) for size in sizes]
    tiles = [-(-height // 128) * -(-width // 128) for height, width in sizes]
    assert found.table["tiles"].tolist() == tiles
    assert found.table["bytes"].tolist() == [len(content) for content in FILES.values()]
    summary = found.summary
    assert summary["tiles"] == sum(tiles) and summary["bytes"] == found.table["bytes"].sum()
    assert summary["tiles_per_image"] == {
        "min": min(tiles),
        "median": np.median(tiles),
        "max": max(tiles),
    }
    assert summary["splits"]["val"] == {
        "images": 2,
        "groups": 2,
        "labels": {"bad": 1, "marginal": 0, "good": 1},
    }
    assert json.loads(json.dumps(summary)) == summary


def test_every_bad_file_is_named_with_its_row_and_stops_nothing(tmp_path):
    whole = FILES["astronaut"]
    bomb = bytearray(FILES["rocket"])
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    rows = [
        *clean_rows(),
        ("missing.png,good,train,1", None),
        ("empty.png,good,train,2", b""),
        ("cut.png,good,train,3", whole[: len(whole) // 2]),
        ("text.jpg,good,train,4", b"this is not an image"),
        ("bomb.png,good,train,5", bytes(bomb)),
        ("dot.png,good,train,6", png(np.zeros((1, 1, 3), np.uint8))),
        (".,good,train,7", None),
    ]
    found = audit_rows(tmp_path, rows)
    assert found.errors == []
    assert list(found.bad_images) == [4, 5, 6, 7, 8, 10]
    for image_id, reason in found.bad_images.items():
        name = rows[image_id][0].split(",")[0]
        assert reason.startswith(f"row {image_id + 2}: {name}: ")
    assert "No such file" in found.bad_images[4]
    assert "60000x60000" in found.bad_images[8]
    assert found.table["image_id"].tolist() == [0, 1, 2, 3, 9]
    assert found.table["tiles"].tolist()[-1] == 1
    assert found.warnings == [
        "1 of 5 files are smaller than a tile of 128 pixels and are padded (row 11)"
    ]


def test_a_class_whose_files_cannot_be_read_is_missing(tmp_path):
    rows = clean_rows()
    rows[3] = ("d.png,bad,val,d", b"")
    found = audit_rows(tmp_path, rows)
    assert found.errors == ["split 'val' has no image of class 'bad'"]


def test_no_readable_file_at_all_is_told(tmp_path):
    found = audit_rows(tmp_path, [(line, b"") for line, _ in clean_rows()])
    assert len(found.bad_images) == 4 and len(found.errors) == 2
    assert "images that cannot be read and are left out: 4" in format_audit(found)


def test_leaks_between_splits_are_errors_with_their_rows(tmp_path):
    rows = [
        *clean_rows(),
        ("copy.png,bad,val,e", FILES["astronaut"]),
        ("f.png,good,test,a", png(255 - SCENES["coffee"])),
        ("g.png,bad,test,g", png(255 - SCENES["rocket"])),
    ]
    found = audit_rows(tmp_path, rows)
    assert found.errors == [
        "the same file content is in row 2 in 'train' and row 6 in 'val', "
        "with different labels (bad, good): keep one",
        "group 'a' is in more than one split: row 2 in 'train' and row 7 in 'test'",
    ]
    assert found.warnings == []


def test_a_copy_inside_one_split_is_a_warning(tmp_path):
    found = audit_rows(tmp_path, [*clean_rows(), ("copy.png,good,train,e", FILES["astronaut"])])
    assert found.errors == []
    assert found.warnings == ["the same file content is in rows 2, 6 in 'train': keep one"]


def test_a_flat_picture_in_two_splits_is_a_leak_all_the_same(tmp_path):
    black = png(np.zeros((128, 128, 3), np.uint8))
    rows = [*clean_rows(), ("e.png,bad,train,e", black), ("f.png,bad,val,f", black)]
    found = audit_rows(tmp_path, rows)
    assert found.errors == [
        "the same file content is in row 6 in 'train' and row 7 in 'val': keep one"
    ]


def test_what_other_splits_lack_is_a_warning(tmp_path):
    rows = [
        *clean_rows(),
        ("e.png,good,holdout,e", png(255 - SCENES["coffee"])),
        ("f.png,marginal,train,f", png(255 - SCENES["rocket"])),
    ]
    found = audit_rows(tmp_path, rows)
    assert found.errors == []
    assert found.warnings[0] == "split 'holdout' has no image of class 'bad'"
    assert found.warnings[1].startswith("split 'val' has no image labelled 'marginal'")


@pytest.mark.parametrize(
    "degrade",
    [
        lambda image: cv2.GaussianBlur(image, (0, 0), 3),
        lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [1, 30])[1], cv2.IMREAD_COLOR),
        lambda image: (128 + 0.4 * (image.astype(float) - 128)).astype(np.uint8),
        lambda image: np.clip(
            image + np.random.default_rng(0).normal(0, 15, image.shape), 0, 255
        ).astype(np.uint8),
    ],
    ids=["blur", "half", "jpeg", "contrast", "noise"],
)
def test_a_degraded_copy_in_another_split_is_found(tmp_path, degrade):
    copy = png(degrade(SCENES["chelsea"]))
    found = audit_rows(tmp_path, [*clean_rows(), ("copy.png,good,val,e", copy)])
    assert found.errors == []
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("b.png and copy.png look alike (")
    assert found.warnings[0].endswith(": row 3 in 'train' and row 6 in 'val'")


def test_flat_pictures_are_not_said_to_look_alike(tmp_path):
    noise = np.random.default_rng(0).integers(-2, 3, (3, 200, 200, 3))
    flat = [
        png((level + noise[number]).astype(np.uint8)) for number, level in enumerate((40, 120, 250))
    ]
    rows = [
        (f"flat{n}.png,good,{split},flat{n}", flat[n])
        for n, split in enumerate(("train", "val", "val"))
    ]
    found = audit_rows(tmp_path, [*clean_rows(), *rows])
    assert found.table["is_flat"].tolist() == [False] * 4 + [True] * 3
    assert found.warnings == []


def test_the_likest_of_several_is_named(tmp_path):
    cat = SCENES["chelsea"]
    trimmed, soft = png(cat[8:-8, 12:-12].copy()), png(cv2.GaussianBlur(cat, (0, 0), 3))
    rows = [
        ("trimmed.png,bad,train,t", trimmed),
        *clean_rows(),
        ("soft.png,good,val,s", soft),
        ("trimmed2.png,good,val,t2", trimmed),
    ]
    found = audit_rows(tmp_path, rows)
    alike = [warning for warning in found.warnings if "look alike" in warning]
    # The content of trimmed2.png has its own finding.
    assert len(alike) == len(found.errors) == 1
    assert alike[0].startswith("b.png and soft.png look alike (0 of 64 bits differ)")


def test_tiles_already_cut_are_read_one_by_one(tmp_path):
    black = png(np.zeros((128, 128, 3), np.uint8))

    def tile(scene, left):
        return png(np.ascontiguousarray(SCENES[scene][:128, left : left + 128]))

    rows = [
        ("a0.png,good,train,A,0,0", tile("astronaut", 0)),
        ("a1.png,good,train,A,0,1", tile("astronaut", 128)),
        ("a2.png,good,train,A,0,2", black),
        ("b0.png,bad,train,B,0,0", tile("chelsea", 0)),
        ("c0.png,good,val,C,0,0", tile("coffee", 0)),
        ("c1.png,good,val,C,0,1", black),
        ("d0.png,bad,val,D,0,0", tile("rocket", 128)),
        ("e0.png,bad,val,E,0,0", tile("coffee", 256)),
        ("e1.png,bad,val,E,0,1", FILES["rocket"]),
        ("e2.png,bad,val,E,0,2", b""),
    ]
    found = audit_rows(tmp_path, rows, header="path,label,split,image,row,column")
    assert found.errors == []
    assert list(found.bad_images) == [4]
    assert found.bad_images[4] == (
        "row 10: e1.png: this tile is 427×640 pixels, larger than tiles of 128"
    )
    assert found.warnings == []
    assert found.table["image_id"].tolist() == [0, 0, 0, 1, 2, 2, 3, 4]
    assert found.summary["images"] == 5
    assert found.summary["tiles_per_image"]["max"] == 3


def test_a_table_without_labels_is_audited_for_its_files(tmp_path):
    rows = [("a.png", FILES["astronaut"]), ("b.png", b""), ("c.png", FILES["astronaut"])]
    found = audit_rows(tmp_path, rows, header="path", label=None)
    assert found.errors == []
    assert list(found.bad_images) == [1]
    assert found.warnings == ["the same file content is in rows 2, 4: keep one"]


def test_scores_are_summarised_by_their_range(tmp_path):
    rows = [
        (f"{name}.png,{mos},{split}", FILES[name])
        for name, mos, split in zip(
            FILES, (1, 2, 3, 5), ("train", "train", "val", "val"), strict=True
        )
    ]
    opinion = LabelSpec("numeric", column="mos", minimum=1, maximum=5)
    found = audit_rows(tmp_path, rows, header="path,mos,split", label=opinion)
    assert found.errors == []
    assert found.summary["splits"]["val"]["labels"] == {"min": 3, "median": 4, "max": 5}


def test_the_text_holds_every_finding(tmp_path):
    rows = [
        *clean_rows(),
        ("copy.png,good,val,e", FILES["astronaut"]),
        ("zero.png,good,val,z", b""),
        ("blur.png,good,val,a", png(cv2.GaussianBlur(SCENES["chelsea"], (0, 0), 3))),
    ]
    found = audit_rows(tmp_path, rows)
    text = format_audit(found)
    assert found.errors and found.warnings and found.bad_images
    for line in [*found.errors, *found.warnings, *found.bad_images.values()]:
        assert line in text
    counts = next(line for line in text.splitlines() if line.startswith("val")).split()
    assert counts == ["val", "5", "5", "1", "0", "4"]
