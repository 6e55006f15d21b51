# SPDX-License-Identifier: EUPL-1.2
"""The browser libraries of this installation, as their manifest names them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parent / "static"


@cache
def libraries(folder: Path = STATIC / "vendor") -> dict[str, str]:
    """Return the folder of each library by name; nothing where the libraries were not built in.

    A library counts only when every file of its manifest is there.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        entry["name"]: entry["folder"]
        for entry in manifest
        if all((folder / entry["folder"] / name).is_file() for name in entry["files"])
    }
