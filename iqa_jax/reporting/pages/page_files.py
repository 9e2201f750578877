"""How pages are written."""

import os
from pathlib import Path


def write_page(path: Path, text: str) -> None:
    """Writes a page whole or not at all.

    File names that are no valid text hold lone surrogates, which UTF-8 refuses: they are escaped.

    Args:
        path: the file to write; its folder must exist.
        text: of the page.
    """
    part = Path(path).with_name(Path(path).name + ".part")
    try:
        part.write_bytes(text.encode("utf-8", errors="backslashreplace"))
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
