# SPDX-License-Identifier: EUPL-1.2
"""Which revised points lack a field that their former revision may have had.

InfluxDB gives a point that is written again the union of old and new fields, so a field that is not
a number any more would keep the number that was withdrawn. Such a point is deleted first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import (
    AMENDED,
    CORRECTED,
    REDERIVED,
    AggregateBatch,
    Columns,
    IndexBatch,
    JudgedBatch,
)
from lamppost.frames import arrow_batch
from lamppost.log import AGGREGATES, INDICES, READINGS, Entry
from lamppost.periods import resolution_name, resolutions

from .line_protocol import stored, stored_tags
from .series_names import SeriesNames

# Evidence a verdict may bring, or statistics that apply to some windows of some quantities only.
_EVIDENCE: Final = ("score", "expected", "band_low", "band_high", "uncertainty")
_CERTAIN: Final = {
    READINGS: ("value",),
    AGGREGATES: ("mean", "min", "max", "sd", "total"),
    INDICES: ("value", "concentration"),
}


class Withdrawal(NamedTuple):
    """A point that must go before its new revision is written.

    Attributes:
        row: the line of the new revision, among those of its entry.
        again: whether an earlier row of the entry is about the same point.
        measurement: of the point.
        tags: of the point, as they are stored.
        at: time of the point, ns UTC.
    """

    row: int
    again: bool
    measurement: str
    tags: Mapping[str, str]
    at: int


class _Keyed(NamedTuple):
    """Rows of one entry with what tells their points apart."""

    batch: Columns
    series: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    revised: npt.NDArray[np.bool_]
    optional: tuple[str, ...]


class Withdrawals:
    """Remembers which fields the points of each quantity have had.

    A field that applies to some quantities and windows only is missed in a point when any point of
    that quantity and window had it since the start of this process.
    """

    def __init__(self, names: SeriesNames) -> None:
        """Read names from a table that may grow between calls."""
        self._names = names
        self._seen: dict[tuple[str, int, int], int] = {}
        self._quantities: dict[str, int] = {}
        self._quantity_of = np.empty(0, np.int64)
        self._kin: dict[tuple[str, str], list[int]] = {}
        self.unclear = 0

    def of(self, entry: Entry) -> list[Withdrawal]:
        """Return the points to withdraw before the lines of an entry are written."""
        keyed = _keyed(entry)
        if keyed is None or not len(keyed.batch):
            return []
        self._learn_series()
        rows = self._lacking(entry.kind, keyed)
        if not len(rows):
            return []
        return list(self._withdrawals(entry.kind, keyed, rows))

    def _lacking(self, entry_kind: str, keyed: _Keyed) -> npt.NDArray[np.int64]:
        """Return the revised rows without a field that points like theirs have had."""
        certain = _CERTAIN[entry_kind]
        present = _present(keyed.batch, (*certain, *keyed.optional))
        kinds, kind_of = np.unique(keyed.kind, return_inverse=True)
        place_of = self._quantity_of[keyed.series] * len(kinds) + kind_of
        known = np.zeros(len(self._quantities) * len(kinds), np.int64)
        np.bitwise_or.at(known, place_of, present)
        for place in np.unique(place_of).tolist():
            quantity, kind = divmod(place, len(kinds))
            name = entry_kind, quantity, int(kinds[kind])
            # Every point has these, whatever it is about, until its readings are gone.
            known[place] |= self._seen.get(name, (1 << len(certain)) - 1)
            self._seen[name] = int(known[place])
        return np.flatnonzero((known[place_of] & ~present != 0) & keyed.revised)

    def _withdrawals(
        self, entry_kind: str, keyed: _Keyed, rows: npt.NDArray[np.int64]
    ) -> Iterator[Withdrawal]:
        points = np.column_stack([keyed.series, keyed.kind, keyed.at])
        _, first, which = np.unique(points, axis=0, return_index=True, return_inverse=True)
        again = first[which.ravel()] != np.arange(len(points))
        for row in rows.tolist():
            code = int(keyed.series[row])
            if self._is_part_of_another(code):
                self.unclear += 1
                continue
            tags = dict(stored_tags(self._names.series[code]))
            if entry_kind == AGGREGATES:
                tags["window"] = resolution_name(int(keyed.kind[row]))
            elif entry_kind == INDICES:
                tags["index"] = stored(self._names.index_name(int(keyed.kind[row])))
            yield Withdrawal(row, bool(again[row]), entry_kind, tags, int(keyed.at[row]))

    def _learn_series(self) -> None:
        known = self._names.series
        fresh = []
        for code in range(len(self._quantity_of), len(known)):
            key = known[code]
            fresh.append(self._quantities.setdefault(key.quantity, len(self._quantities)))
            self._kin.setdefault((key.sensor, key.quantity), []).append(code)
        if fresh:
            self._quantity_of = np.append(self._quantity_of, np.array(fresh, np.int64))

    def _is_part_of_another(self, code: int) -> bool:
        """Whether the tags of a series are also those of one with more: it would go as well."""
        key = self._names.series[code]
        if not (key.sensor and key.quantity):
            return True
        own = set(stored_tags(key))
        kin = self._kin[key.sensor, key.quantity]
        return any(own < set(stored_tags(self._names.series[one])) for one in kin)


def _present(batch: Columns, names: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return, as bits, which fields each row has."""
    bits = np.zeros(len(batch), np.int64)
    for place, name in enumerate(names):
        bits |= np.isfinite(getattr(batch, name)).astype(np.int64) << place
    return bits


def _keyed(entry: Entry) -> _Keyed | None:
    if entry.kind == READINGS:
        readings = JudgedBatch.from_arrow(arrow_batch(entry.body))
        # An amended verdict is about the same number and leaves the evidence as it was, unless it
        # says that the number is none.
        revised = np.isin(readings.revision, (CORRECTED, REDERIVED))
        revised |= (readings.revision == AMENDED) & np.isnan(readings.value)
        kind = np.zeros(len(readings), np.int64)
        return _Keyed(readings, readings.series, kind, readings.time, revised, _EVIDENCE)
    if entry.kind == AGGREGATES:
        rows = AggregateBatch.from_arrow(arrow_batch(entry.body))
        kind = resolutions(rows.length, rows.calendar)
        optional = tuple(
            name
            for name, dtype in AggregateBatch.dtypes().items()
            if dtype == "float64" and name not in _CERTAIN[AGGREGATES]
        )
        return _Keyed(rows, rows.series, kind, rows.start, rows.revision > 0, optional)
    if entry.kind == INDICES:
        indices = IndexBatch.from_arrow(arrow_batch(entry.body))
        kind = indices.index.astype(np.int64)
        return _Keyed(indices, indices.series, kind, indices.end, indices.revision > 0, ())
    return None
