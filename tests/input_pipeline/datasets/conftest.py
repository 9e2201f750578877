"""The published sets, laid out once for all tests of them."""

import pytest

import published_sets
from input_pipeline.datasets import DATASETS


@pytest.fixture(scope="session")
def layouts(tmp_path_factory):
    """Folder of each set, a few images each, laid out as its makers do."""
    folders = {}
    for name in DATASETS:
        folders[name] = tmp_path_factory.mktemp(name)
        getattr(published_sets, f"lay_out_{name}")(folders[name])
    return folders
