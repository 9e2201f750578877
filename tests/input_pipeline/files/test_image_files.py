"""Which files a folder, a pattern or a list stands for, and what is said of the others."""

import os
import tracemalloc
from collections import Counter

import pytest

from input_pipeline.files import image_files
from input_pipeline.files.image_files import list_images, tell_passed_over
from input_pipeline.files.images import SUFFIXES, ImageError, load


def fill(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names_in(folder, pattern: str = "") -> list[str]:
    source = os.path.join(folder, pattern) if pattern else folder
    return [os.path.relpath(name, folder) for name in list_images(source)]


def test_every_ending_of_a_picture_counts_in_any_case(tmp_path):
    assert {".jfif", ".jpe", ".heic", ".avif", ".gif"} <= {*SUFFIXES}
    names = sorted(f"a{ending}" for ending in SUFFIXES) + sorted(
        f"b{ending.upper()}" for ending in SUFFIXES
    )
    fill(tmp_path, *names)
    assert names_in(tmp_path) == names


def test_what_is_passed_over_is_counted_and_what_is_hidden_is_not(tmp_path):
    fill(tmp_path, "a.jpg", "b.dng", "deep/c.DNG", "README", "notes.txt")
    fill(tmp_path, ".d.jpg", "._a.jpg", ".thumbnails/e.jpg", "__MACOSX/._f.jpg", "__MACOSX/g.jpg")
    (tmp_path / "album").symlink_to("nowhere")
    counts = Counter()
    assert [os.path.basename(name) for name in list_images(tmp_path, counts)] == ["a.jpg"]
    assert counts == {".dng": 2, "no ending": 1, ".txt": 1, "broken links": 1}
    told = "5 other files passed over (.dng 2, .txt 1, broken links 1, no ending 1)"
    assert tell_passed_over(counts) == told
    assert tell_passed_over({".heic": 1}) == "1 other file passed over (.heic 1)"
    many = {f".{letter}": 1 for letter in "abcdefg"}
    assert tell_passed_over(many).endswith("(.a 1, .b 1, .c 1, .d 1, .e 1, others 2)")
    # A folder of them alone says so.
    fill(tmp_path / "raw", "a.dng", "b.dng")
    with pytest.raises(ImageError, match=r"no file ending in .*2 other files passed over"):
        names_in(tmp_path / "raw")


def test_endings_without_number_take_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "_ENDINGS_COUNTED", 3)
    fill(tmp_path, "a.jpg", *(f"scan.{number:03}" for number in range(20)))
    counts = Counter()
    list(list_images(tmp_path, counts))
    assert len(counts) == 4 and counts.total() == 20


def test_linked_folders_are_followed_and_no_real_folder_is_visited_twice(tmp_path):
    photos, outside = tmp_path / "photos", tmp_path / "outside"
    fill(photos, "b/own.jpg", ".cache/hidden.jpg", "z.jpg")
    fill(outside, "one.jpg", "deep/two.jpg")
    links = {
        "a_of_b": "b",  # Visited as `b`.
        "loop": ".",
        "up": "..",  # Leads to all that is outside, and back here.
        "b/round": "../b",
        "c_deep": outside / "deep",
        "d_outside": outside,
        "e_again": outside,
        "f_hidden": ".cache",
        "linked.jpg": "z.jpg",
    }
    for name, target in links.items():
        (photos / name).symlink_to(target)
    (outside / "back").symlink_to(photos)
    assert names_in(photos) == [
        "b/own.jpg", "c_deep/two.jpg", "d_outside/one.jpg", "f_hidden/hidden.jpg", "linked.jpg",
        "z.jpg",
    ]  # fmt: skip
    # Patterns go the same way: with two loops `glob` would not come back.
    assert names_in(photos, "**/o*.jpg") == ["b/own.jpg", "d_outside/one.jpg"]


def test_what_is_named_like_a_picture_and_cannot_be_read_has_a_row(tmp_path):
    fill(tmp_path, "a.png")
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    names = ["a.png", "dangling.jpg", "pipe.jpg", "self.jpg"]
    assert names_in(tmp_path) == names_in(tmp_path, "*") == names_in(tmp_path, "**") == names
    reasons = ("link to a file that is not there", "it is a pipe", "Too many levels of symbolic")
    for name, reason in zip(names[1:], reasons, strict=True):
        with pytest.raises(ImageError, match=reason):
            load(tmp_path / name)


def test_a_subfolder_that_cannot_be_read_has_a_row(tmp_path, monkeypatch):
    fill(tmp_path, "a.png", "locked/b.png", "z.png")
    scandir = os.scandir

    def refuse(folder):
        if os.path.basename(folder) == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names_in(tmp_path) == ["a.png", "locked", "z.png"]
    assert "locked" in names_in(tmp_path, "**/*.png")
    with pytest.raises(PermissionError):
        names_in(tmp_path / "locked")


def test_what_exists_is_no_pattern(tmp_path):
    odd = tmp_path / "trip [x] *"
    fill(odd, "a [1].jpg", "deep/b.jpg")
    fill(tmp_path, "trip x y/c.jpg")
    assert names_in(odd) == ["a [1].jpg", "deep/b.jpg"]
    assert names_in(odd, "*.jpg") == ["a [1].jpg"]
    assert names_in(odd, "**/*.jpg") == ["a [1].jpg", "deep/b.jpg"]
    assert names_in(odd, "a [1].jpg") == ["a [1].jpg"]
    (odd / "gone [2].jpg").symlink_to("nowhere")
    assert names_in(odd, "gone [2].jpg") == ["gone [2].jpg"]


def test_patterns_relative_to_where_one_is(tmp_path, monkeypatch):
    fill(tmp_path, "a.jpg", "b/c.jpg", "b/d/e.jpg", "b/.f/g.jpg")
    monkeypatch.chdir(tmp_path)
    assert list(list_images("*.jpg")) == ["a.jpg"]
    assert list(list_images("**/*.jpg")) == ["a.jpg", "b/c.jpg", "b/d/e.jpg"]
    assert list(list_images("b/**/[e]*")) == ["b/d/e.jpg"]
    assert list(list_images("./*/c.jpg")) == ["./b/c.jpg"]
    assert list(list_images("b/**")) == ["b/c.jpg", "b/d/e.jpg"]


@pytest.mark.skipif(os.sep == "\\", reason="there it is right")
@pytest.mark.parametrize("source", [r"C:\photos\*.jpg", r"C:\photos\list.txt"])
def test_a_path_of_windows_gets_a_hint(source):
    with pytest.raises(ImageError, match="here, write /"):
        list(list_images(source))
    with pytest.raises(ImageError, match="there is no such file.*here, write /"):
        load(r"C:\photos\a.jpg")
    with pytest.raises(ImageError, match="check the path[.]$"):
        load("nowhere/a.jpg")


def test_a_list_holds_names_of_any_bytes(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.jpg\n")
    assert [os.fsencode(name) for name in list_images(tmp_path / "list.txt")] == [
        os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    ]
    (tmp_path / "list.txt").write_bytes("a.jpg\n".encode("utf-16"))
    with pytest.raises(ImageError, match="no UTF-8 text"):
        list(list_images(tmp_path / "list.txt"))


def test_a_large_folder_takes_no_memory_and_keeps_its_order(tmp_path, monkeypatch):
    names = [f"{number * 7919 % 6000:04}{'_' * 200}.jpg" for number in range(6000)]
    fill(tmp_path, *names)
    whole = names_in(tmp_path)
    monkeypatch.setattr(image_files, "_NAMES_AT_ONCE", 500)
    tracemalloc.start()
    try:
        count = sum(1 for _ in list_images(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert names_in(tmp_path) == whole == sorted(names)
    # The names themselves are 1.2 MB.
    assert count == 6000 and peak < 600_000
