# SPDX-License-Identifier: EUPL-1.2
"""Health indices of whole stations as messages: the newest hour of each, as its pollutants come."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from lamppost.batch import IndexBatch
from lamppost.indices import IndexTable, TableNames, combine, is_corrected
from lamppost.times import format_instant

from .series_names import SeriesNames, unit_of

_NO_VALUE: Final = None


class _Pollutant(NamedTuple):
    """What an index says of one series."""

    series: int
    value: float
    category: int
    concentration: float
    coverage: float
    beyond: bool
    revision: int
    table: IndexTable


class Hour(NamedTuple):
    """The newest hour of a station and index."""

    end: int
    pollutants: dict[int, _Pollutant]


Key = tuple[str, int]


class StationHours:
    """What is known of the newest hour of every station and index.

    After a start it is not known which pollutants of an hour were heard before: a station's first
    hour is kept to itself.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._hours: dict[Key, Hour] = {}
        self._first: dict[Key, int] = {}

    def after(self, columns: pa.RecordBatch, names: SeriesNames) -> StationHours:
        """Return what is known with the values of an entry; what was known stays as it is."""
        batch, tables = IndexBatch.from_arrow(columns), TableNames(columns.schema.metadata)
        more = StationHours()
        more._hours, more._first = dict(self._hours), dict(self._first)
        for row in np.lexsort((batch.revision, batch.end)).tolist():
            table = tables.of(int(batch.index[row]), int(batch.table[row]))
            more._take_in(batch, row, names.series[int(batch.series[row])].sensor, table)
        return more

    def _take_in(self, batch: IndexBatch, row: int, sensor: str, table: IndexTable) -> None:
        key, end = (sensor, int(batch.index[row])), int(batch.end[row])
        self._first.setdefault(key, end)
        known = self._hours.get(key)
        if known is not None and end < known.end:
            return
        pollutants = known.pollutants if known is not None and end == known.end else {}
        found = _Pollutant(
            int(batch.series[row]),
            float(batch.value[row]),
            int(batch.category[row]),
            float(batch.concentration[row]),
            float(batch.coverage[row]),
            bool(batch.beyond[row]),
            int(batch.revision[row]),
            table,
        )
        self._hours[key] = Hour(end, {**pollutants, found.series: found})

    def told(self, former: StationHours) -> Iterator[tuple[Key, Hour]]:
        """Yield the hours that say something else than formerly."""
        for key, hour in self._hours.items():
            if hour.end > self._first[key] and hour != former._hours.get(key):
                yield key, hour


def index_fields(key: Key, hour: Hour, names: SeriesNames, policy: str) -> dict[str, Any]:
    """Return the message about a station's hour."""
    sensor, number = key
    found = list(hour.pollutants.values())
    series = [names.series[pollutant.series] for pollutant in found]
    quantities = sorted({one.quantity for one in series})
    rule = combine(
        np.zeros(len(found), np.int64),
        np.array([quantities.index(one.quantity) for one in series], np.int64),
        np.array([pollutant.value for pollutant in found], np.float64),
        corrected=np.array([is_corrected(one.qualifiers) for one in series], np.bool_),
    )
    worst = None if rule.worst[0] < 0 else found[int(rule.worst[0])]
    name = names.index_name(number)
    scale: Mapping[str, Any] = names.rules.get("scales", {}).get(name, {})
    responsible = {series[row].quantity for row in np.flatnonzero(rule.responsible).tolist()}
    fields = {
        "station": sensor,
        "index": name,
        "title": scale.get("title", name),
        "hour_end": format_instant(hour.end),
        "value": worst.value if worst else _NO_VALUE,
        "category": worst.category if worst else _NO_VALUE,
        **_category(scale, worst.category if worst else 0),
        "responsible": sorted(responsible),
        "beyond": worst.beyond if worst else _NO_VALUE,
        **_table(worst.table if worst else IndexTable("", "")),
        "pollutants": [
            _pollutant(pollutant, names) for pollutant in sorted(found, key=lambda one: one.series)
        ],
        "revision": max(pollutant.revision for pollutant in found),
        "policy": policy,
    }
    return _told(fields)


def _category(scale: Mapping[str, Any], category: int) -> dict[str, Any]:
    categories = scale.get("categories", [])
    known = categories[category - 1] if 1 <= category <= len(categories) else {}
    return {"category_name": known.get("name"), "colour": known.get("colour")}


def _pollutant(found: _Pollutant, names: SeriesNames) -> dict[str, Any]:
    key = names.series[found.series]
    fields = {
        "quantity": key.quantity,
        "qualifiers": key.qualifiers,
        "value": _number(found.value),
        "concentration": _number(found.concentration),
        "unit": unit_of(key.quantity),
        "coverage": found.coverage,
        **_table(found.table),
    }
    return _told(fields)


def _table(table: IndexTable) -> dict[str, Any]:
    return {
        "averaging": table.averaging or _NO_VALUE,
        "table_version": table.version or _NO_VALUE,
    }


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is unknown."""
    return {name: value for name, value in fields.items() if value is not _NO_VALUE}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else _NO_VALUE
