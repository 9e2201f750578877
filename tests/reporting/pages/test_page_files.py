"""A page is there whole or not at all."""

import pytest

from iqa_jax.reporting.pages.page_files import write_page


def test_names_that_are_no_text_are_escaped(tmp_path):
    write_page(tmp_path / "page.html", "photo \udcff é.jpg")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == r"photo \udcff é.jpg"


def test_what_cannot_be_written_leaves_the_old_page(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    write_page(path, "old")

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="full"):
        write_page(path, "new")
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"] and path.read_text() == "old"
