# SPDX-License-Identifier: EUPL-1.2
"""Files that are always whole: written beside, synced, then put in place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place so that readers and crashes find the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def replace_if_changed(path: Path, data: bytes) -> None:
    """As :func:`replace_file`, but leave a file alone that already says this."""
    if not path.is_file() or path.stat().st_size != len(data) or path.read_bytes() != data:
        replace_file(path, data)


def fingerprint(data: bytes) -> str:
    """Return the SHA-256 of bytes as the Data Package standard spells it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
