# SPDX-License-Identifier: EUPL-1.2
"""The log most tests of logs begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamppost_app.sqlite_log import SqliteLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log will be."""
    return tmp_path / "logs" / "inbox.db"


@pytest.fixture
def kept(path: Path) -> Iterator[SqliteLog]:
    """A new log."""
    opened = SqliteLog(path)
    yield opened
    opened.close()
