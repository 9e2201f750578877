"""No-reference image quality from tiles.

scorer = iqa_jax.load_scorer("runs/quickstart")
scorer.score(["photo.jpg"])
"""


def __getattr__(name: str):
    # JAX and the rest load with the first use, so that `main.py --help` answers at once.
    if name == "load_scorer":
        from iqa_jax.predict import load_scorer

        return load_scorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
