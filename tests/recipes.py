"""The recipes of configs/."""

from ml_collections import ConfigDict

from tiny import ROOT

RECIPES = sorted(
    path.stem for path in (ROOT / "configs").glob("*.py") if path.stem not in ("__init__",)
)


def load_recipe(name: str) -> ConfigDict:
    return __import__(f"configs.{name}", fromlist=["get_config"]).get_config()
