# SPDX-License-Identifier: EUPL-1.2
"""Build hook: carries the default policy and, where npm is at hand, the browser libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LamppostBuildHook(BuildHookInterface[Any]):
    """Adds to a standard wheel what does not lie inside a package of the source tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill the vendor folder and place policy/; leave editable installs and sdists alone."""
        if self.target_name != "wheel" or version != "standard":
            return
        root = Path(self.root)
        subprocess.run([sys.executable, str(root / "scripts" / "vendor.py")], check=True)
        build_data["force_include"][str(root / "policy")] = "lamppost_app/policy"
