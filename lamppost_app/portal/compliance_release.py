# SPDX-License-Identifier: EUPL-1.2
"""Keeps the table of limits at hand, and leaves it for the open-data release when it changes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from lamppost import events
from sinks.open_data import fields
from sinks.open_data.handed_over import FOLDER, hand_over
from sinks.store_reader import QueryTimedOut

from .api_compliance import published
from .compliance_book import YearTable
from .context import PortalContext

_LOOK_S: Final = 60.0


class ComplianceRelease:
    """Works the table out at the start, so that nobody waits for it, and follows the store."""

    def __init__(self, context: PortalContext, stop: threading.Event) -> None:
        """Take the portal and the signal to stop."""
        self._context = context
        self._stop = stop
        self._left: dict[int, str] = {}

    def run(self) -> None:
        """Look again and again until told to stop."""
        while not self._stop.is_set():
            try:
                self.look()
            except (OSError, duckdb.Error, QueryTimedOut) as error:
                if not self._stop.is_set():
                    events.warning("compliance_not_worked_out", problem=error)
            self._stop.wait(_LOOK_S)

    def look(self) -> None:
        """Leave the year under way and the one before, where they have changed."""
        this = self._context.compliance_of()
        for found in (this, self._context.compliance_of(this.year - 1)):
            if self._left.get(found.year) != found.version:
                self._leave(found)
                self._left[found.year] = found.version

    def _leave(self, found: YearTable) -> None:
        settings = self._context.settings
        if not settings.open_data.enabled or not found.table.num_rows:
            return
        folder: Path = settings.data.dir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        rules = self._context.rulebook()
        rows: pa.Table = published(found, found.table, rules)
        hand_over(folder, fields.COMPLIANCE, found.year, rows)
