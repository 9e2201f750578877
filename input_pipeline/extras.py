"""Packages that only some of the work needs, and the one sentence where one is missing.

This needs only Python: every room may import it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# Extra of pyproject.toml -> what is not to be had without it.
EXTRAS = {
    "train": "Training, as a report's map of images,",
    "prepare": "A data set of --mode=prepare",
    "tfds": "A data set that TFDS builds itself",
    "parquet": "A Parquet table",
    "tensorboard": "TensorBoard",
    "beam": "--beam_options",
    "heif": "A HEIC image",
    "onnx": "An export to .onnx",
    "stablehlo": "An export to .stablehlo",
}


class MissingExtraError(ImportError):
    """Says what a package that is not installed is for, and which extra brings it."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Imports within it are of what an extra brings.

        with extra("train"):
            import grain

    Args:
        name: of `EXTRAS`.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise MissingExtraError(
            f"{EXTRAS[name]} needs {package}, which is not installed: {advise(name)}"
        ) from error


def advise(name: str) -> str:
    """Says how an extra is installed."""
    return f"pip install 'iqa_jax[{name}]' (in a clone of it: pip install '.[{name}]')"
