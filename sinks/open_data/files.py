# SPDX-License-Identifier: EUPL-1.2
"""Files that are always whole: written beside, synced, then put in place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet

# Typed loosely: the Parquet module has incomplete types.
_parquet: Any = pyarrow.parquet


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


def columns_of(ending: str, content: Path | BinaryIO) -> list[str]:
    """Return the columns of a file; none where it is not what its ending says."""
    if ending == ".parquet":
        try:
            names: list[str] = _parquet.read_schema(content).names
        except (pa.ArrowInvalid, OSError):
            return []
        return names
    with content.open("rb") if isinstance(content, Path) else content as file:
        header = file.readline().decode(errors="replace")
    return header.rstrip("\r\n").split(",")


def fingerprint(data: bytes) -> str:
    """Return the SHA-256 of bytes as the Data Package standard spells it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
