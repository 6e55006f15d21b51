# SPDX-License-Identifier: EUPL-1.2
"""Which windows went out, of lengths and periods that are not made at present."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.periods import parse_length
from lamppost.shelf import Shelf
from lamppost.state import Snapshot
from lamppost.times import DAY_NS

from ._rows import IntArray, RowArray, picked
from ._table import NO_ROWS, Table

REVISION: Final = np.dtype([("time", "i8"), ("series", "i4"), ("revision", "i4")])
_LAID: Final = np.dtype([*REVISION.descr, ("size", "i8")])

_PREFIX: Final = "laid_aside_"
_LONGEST_DAYS: Final = {"day": 2, "month": 32, "year": 367}
_HELD_NS: Final = 32 * DAY_NS


class LaidAside:
    """Revision numbers, so that a length that a policy brings back goes on with them.

    Attributes:
        whole: while windows begin, what they may be made of: resolutions that are held from before
            the horizon on, so that no window is corrected from less than it was made of.
    """

    def __init__(self, shelf: Shelf) -> None:
        """Start without any."""
        self._shelf = shelf
        self._tables: dict[str, Table] = {}
        self.whole: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Tell whether windows of a resolution went out that are not forgotten yet."""
        return name in self._tables

    @property
    def reach_ns(self) -> int:
        """How far before the horizon is held what windows are made of: months, but no years."""
        return min(max(map(_longest_ns, self._tables), default=0), _HELD_NS)

    def lay(self, name: str, rows: RowArray) -> None:
        """Remember sorted windows of a resolution that went out."""
        if not len(rows):
            return
        kept = np.zeros(len(rows), _LAID)
        for field in REVISION.names or ():
            kept[field] = rows[field]
        if "count" in (rows.dtype.names or ()):
            kept["size"] = rows["count"] + rows["excluded"]
        self._table(name).insert(kept)

    def numbers(self, name: str, rows: RowArray) -> IntArray:
        """Return the revision each window of a resolution went out with, -1 if it did not."""
        if name not in self._tables:
            return np.full(len(rows), -1)
        held, found = self._tables[name].find(rows["series"], rows["time"])
        return np.where(held, found["revision"], -1)

    def is_whole(self, name: str, states: RowArray) -> npt.NDArray[np.bool_]:
        """Return which windows hold no fewer readings than when they went out."""
        if name not in self._tables:
            return np.ones(len(states), np.bool_)
        _, found = self._tables[name].find(states["series"], states["time"])
        whole: npt.NDArray[np.bool_] = states["count"] + states["excluded"] >= found["size"]
        return whole

    def revisions(self, name: str) -> Snapshot:
        """Return the windows of a resolution that went out, as a snapshot of their table."""
        return self._tables.get(name, Table(_LAID, self._shelf)).snapshot()

    def renumber(self, name: str, states: RowArray) -> None:
        """Give windows that close again, and went out before, their next revision."""
        if name in self._tables:
            first = np.flatnonzero(states["revision"] == 0)
            states["revision"][first] = self.numbers(name, picked(states, first)) + 1

    def adopt(self, former: LaidAside) -> None:
        """Go on from what another policy laid aside."""
        for name, table in former._tables.items():
            self._table(name).restore(table.snapshot())

    def expire(self, oldest: IntArray) -> None:
        """Forget windows that no correction can reach, and resolutions without any other."""
        for name, table in list(self._tables.items()):
            table.expire(np.where(oldest == NO_ROWS, NO_ROWS, oldest - _longest_ns(name)))
            if not len(table):
                del self._tables[name]

    def tables(self) -> dict[str, Table]:
        """Return what is kept, by name."""
        return {f"{_PREFIX}{name}": table for name, table in self._tables.items()}

    def expect(self, snapshot: Mapping[str, Any]) -> None:
        """Have the tables that a snapshot holds, and no others."""
        names = {key.split("/")[0] for key in snapshot if key.startswith(_PREFIX)}
        self._tables = {}
        for name in sorted(names):
            self._table(name.removeprefix(_PREFIX))

    def _table(self, name: str) -> Table:
        return self._tables.setdefault(name, Table(_LAID, self._shelf))


def _longest_ns(name: str) -> int:
    days = _LONGEST_DAYS.get(name)
    return parse_length(name) if days is None else days * DAY_NS
