"""A real browser for tests of pages, where there is one."""

import shutil

import pytest

from programs import run_program

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason=f"none of {', '.join(NAMES)} is on PATH (apt-get install chromium)"
)


def dump(path, folder):
    """Gives the page as the browser holds it once it is loaded."""
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
        " --disable-background-networking --disable-component-update --window-size=800,900"
    )
    return run_program(
        [BROWSER, *options.split(), f"--user-data-dir={folder}", "--dump-dom", path.as_uri()]
    ).stdout
