# SPDX-License-Identifier: EUPL-1.2
"""A small file system of its own, which can be filled up and emptied."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

_CHUNK = bytes(4096)


class SmallDisk:
    """A tmpfs of some megabytes, mounted where a data folder will be."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        """Mount it; without the right to, the test is skipped, or fails where it must run."""
        self._folder = folder
        self._balloon = folder / "balloon"
        folder.mkdir()
        given = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        mounted = subprocess.run(given, capture_output=True, text=True, check=False)
        if mounted.returncode:
            required = os.environ.get("CI") == "true"
            (pytest.fail if required else pytest.skip)(f"cannot mount: {mounted.stderr.strip()}")

    @property
    def free_bytes(self) -> int:
        """How much is left."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def fill(self) -> None:
        """Leave not a byte; call it again when something was given back meanwhile."""
        with contextlib.suppress(OSError), self._balloon.open("ab", buffering=0) as balloon:
            while True:
                balloon.write(_CHUNK)

    def empty(self) -> None:
        """Give the room back."""
        self._balloon.unlink()

    def unmount(self) -> None:
        """Take it away, even where a file is still open."""
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)
