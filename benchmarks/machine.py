"""Says what a figure was measured on."""

import datetime
import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


def processor() -> str:
    """Gives the processor's name; on Linux `platform` knows only the architecture."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.processor() or platform.machine()


def describe_machine(packages: Sequence[str]) -> dict[str, Any]:
    """Describes this machine and what is installed; ask before the work, for the load average.

    Args:
        packages: whose versions count.

    Returns:
        `machine`, `cores` (that this process may use), `load_average_before`, `date`, `python` and
        `versions`.
    """
    return {
        "machine": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average_before": round(os.getloadavg()[0], 2),
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }
