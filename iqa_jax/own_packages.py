"""Keeps `configs` and `input_pipeline` those that are installed beside this package.

Python looks first in the folder of the program, or in the current one: a folder `configs` or a
file `input_pipeline.py` of the user's own would come before ours.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

_HOME = Path(__file__).resolve().parents[1]


def use_own_packages() -> None:
    """Gives the two names to our packages, whatever else the path of Python has.

    What the program has imported under these names before stays with it; only imports from here
    on find ours.
    """
    for name in ("configs", "input_pipeline"):
        spec = PathFinder.find_spec(name, [str(_HOME)])
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded and Path(loaded).resolve() == Path(spec.origin):
            continue
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            del sys.modules[module]
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
