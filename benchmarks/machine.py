# SPDX-License-Identifier: EUPL-1.2
"""What was measured on: read when the measurement runs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

from .services import MissingProgramError, find_program

_LIBRARIES: Final = ("numpy", "pyarrow", "pydantic", "duckdb", "paho-mqtt", "uvloop")


def describe() -> dict[str, str]:
    """Return the machine and the versions by name."""
    load = os.getloadavg()
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{_memory_gib():.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Mosquitto": _mosquitto(),
        **{name: version(name) for name in _LIBRARIES},
        "load average before": f"{load[0]:.1f} (1 min), {load[1]:.1f} (5 min)",
    }


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.+)", _text("/proc/cpuinfo"))
    return found[1] if found else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _mosquitto() -> str:
    try:
        command = [find_program("mosquitto"), "-h"]
    except MissingProgramError:
        return "not installed"
    # It answers with status 3, and with its version in the first line.
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\S+)", answer)
    return found[1] if found else "unknown"


def _text(path: str) -> str:
    file = Path(path)
    return file.read_text(encoding="utf-8") if file.is_file() else ""
