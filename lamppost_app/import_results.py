# SPDX-License-Identifier: EUPL-1.2
"""What became of imported rows, by the ledger, once the engine has read them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from lamppost import log
from lamppost.clock import Clock
from lamppost.imports import IMPORT_SOURCE
from lamppost.log import Record
from lamppost.times import HOUR_NS

from .importing import EngineLag
from .ledger import COLUMNS
from .sqlite_log import SqliteLog

_POLL_S: Final = 0.02
_TICK_EVERY_S: Final = 5.0
_LEDGER_WAIT_S: Final = 180.0

_Key = tuple[str, int]


class ImportedRows:
    """Counts of the import door since this was made."""

    def __init__(self, lag: EngineLag, now: int) -> None:
        """Take note of what the door had counted before."""
        self._lag = lag
        self._since = now // HOUR_NS * HOUR_NS
        self._read = 0
        self._rows: dict[_Key, dict[str, Any]] = {}
        self._look()
        self._before = dict(self._rows)

    def counts(self) -> Counter[str]:
        """Return what the ledger has counted since, by outcome."""
        self._look()
        found: Counter[str] = Counter()
        for key, row in self._rows.items():
            before = self._before.get(key, {})
            found.update({name: row[name] - before.get(name, 0) for name in COLUMNS})
        return found

    def _look(self) -> None:
        if self._lag.outbox is None:
            return
        for entry in self._lag.outbox.scan(log.LEDGER, self._read):
            self._read = entry.seq
            for row in json.loads(entry.body) if entry.kind == log.LEDGER else ():
                if row["source"] == IMPORT_SOURCE and row["hour"] >= self._since:
                    self._rows[row["sensor"], row["hour"]] = row


def wait_for_engine(lag: EngineLag, last: int, tell: Callable[[bool], None]) -> None:
    """Wait until the engine has published everything up to an inbox entry.

    ``tell`` is called again and again with whether the engine seems to stand still.
    """
    position, moved_at = -1, time.monotonic()
    while (found := lag.engine_position()) < last:
        if found != position:
            position, moved_at = found, time.monotonic()
        tell(time.monotonic() - moved_at > _TICK_EVERY_S)
        time.sleep(_POLL_S)


def wait_for_ledger(
    rows: ImportedRows, items: int, inbox: SqliteLog, clock: Clock
) -> Counter[str] | None:
    """Return the counts once the ledger has booked so many items; None if it does not come to it.

    The ledger is published with a tick, every ten seconds, in a large city every two minutes.
    """
    until, ticked_at = time.monotonic() + _LEDGER_WAIT_S, time.monotonic()
    while (counts := rows.counts())["received"] < items:
        now = time.monotonic()
        if now > until:
            return None
        if now - ticked_at > _TICK_EVERY_S:
            inbox.append([Record(log.TICK, clock.now_ns(), b"")])
            ticked_at = now
        time.sleep(_POLL_S)
    return counts
