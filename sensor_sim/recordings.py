# SPDX-License-Identifier: EUPL-1.2
"""Recordings of real devices as readings and messages; the only input this package reads."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from lamppost.errors import ConfigError

from .dialects import Report, encode, null_for_nan
from .layouts import KNOWN_LAYOUTS, Layout, layout_of
from .messages import Message, topic_of
from .noise import Floats, Instants
from .recording_times import UnreadableTime, parse_times

_ABSENT = frozenset({"", "na", "nan", "null", "none"})


class RecordingError(ConfigError, ValueError):
    """A recording cannot be read; the message names the file, the column and the row."""


@dataclass(frozen=True)
class Readings:
    """A recording as columns: one instant for each row, NaN where a cell is empty."""

    time_ns: Instants
    columns: Mapping[str, Floats]
    units: Mapping[str, str]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time_ns)


@dataclass(frozen=True)
class Recording:
    """A CSV file, its layout, and the zone of times that do not name one."""

    path: Path
    layout: Layout
    zone: str = "UTC"

    def readings(self) -> Readings:
        """Return every row of the file as it stands, doubled hours and sentinels too.

        Raises:
            RecordingError: a cell is neither a number nor empty, or a time cannot be read.
        """
        header, rows = self._table
        place = {name: column for column, name in enumerate(header)}
        columns = {
            quantity: self._numbers(source, [row[place[source]] for row in rows])
            for source, quantity in self.layout.columns.items()
        }
        return Readings(self._times(place, rows), columns, self.layout.units)

    def messages(self, sensor: str, batch: int = 100) -> Iterator[Message]:
        """Yield the recording in file order as messages of up to `batch` times."""
        readings = self.readings()
        for first in range(0, len(readings), batch):
            rows = slice(first, first + batch)
            report = _report(sensor, readings, rows)
            if report.values:
                due_at_ns = int(report.time_ns[-1])
                yield Message(topic_of(sensor), encode(report), due_at_ns)

    @cached_property
    def _table(self) -> tuple[list[str], list[list[str]]]:
        header, rows = _read_csv(self.path)
        missing = [c for c in (*self.layout.time_columns, *self.layout.columns) if c not in header]
        if missing:
            raise RecordingError(
                f"no column {missing[0]!r}; the file has: {', '.join(header)}",
                where=str(self.path),
            )
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise RecordingError(
                    f"row {number} has {len(row)} cells, the header has {len(header)}",
                    where=str(self.path),
                )
        return header, rows

    def _times(self, place: Mapping[str, int], rows: list[list[str]]) -> Instants:
        named = self.layout.time_columns
        texts = [" ".join(row[place[name]].strip() for name in named) for row in rows]
        try:
            return parse_times(texts, _zone(self.zone, self.path))
        except UnreadableTime as error:
            raise RecordingError(
                f"column {' + '.join(named)!r}, row {error.row + 2}: {error}",
                where=str(self.path),
                hint="known forms: 2026-01-31T12:00:00, 31/01/2026 12:00, seconds or "
                "milliseconds since 1970",
            ) from error

    def _numbers(self, column: str, cells: list[str]) -> Floats:
        texts = ["nan" if cell.strip().lower() in _ABSENT else cell for cell in cells]
        try:
            return np.array(texts, dtype=np.float64)
        except ValueError as error:
            row = next(i for i, text in enumerate(texts) if not _is_number(text))
            raise RecordingError(
                f"column {column!r}, row {row + 2}: {cells[row]!r} is not a number",
                where=str(self.path),
            ) from error


def open_recording(
    path: Path | str,
    *,
    zone: str = "UTC",
    time_column: str | None = None,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> Recording:
    """Open a recording whose layout is known by its header, or stated.

    Args:
        path: the CSV file.
        zone: IANA name of the zone of times that do not name one.
        time_column: column of the time; with `columns`, states the layout of any CSV file.
        columns: quantity by source column.
        units: unit by quantity, where not the usual one.

    Raises:
        RecordingError: the file cannot be opened, or its layout is neither known nor stated.
    """
    path = Path(path)
    _zone(zone, path)
    if (time_column is None) != (columns is None):
        raise RecordingError("state time_column and columns together", where=str(path))
    if time_column is not None and columns is not None:
        stated = Layout("stated", (time_column,), dict(columns), dict(units or {}))
        return Recording(path, stated, zone)
    layout = layout_of(_read_header(path))
    if layout is None:
        known = ", ".join(layout.name for layout in KNOWN_LAYOUTS)
        raise RecordingError(
            f"the header fits no known layout ({known})",
            where=str(path),
            hint="state time_column and columns",
        )
    units_sent = {**layout.units, **(units or {})}
    return Recording(path, replace(layout, units=units_sent), zone)


def _read_header(path: Path) -> list[str]:
    with _opened(path) as lines:
        return next(csv.reader(lines), [])


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    with _opened(path) as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        return header, [row for row in reader if row]


def _opened(path: Path) -> TextIO:
    try:
        # Text columns in other encodings are not read, so their letters may be replaced.
        return path.open(encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        raise RecordingError(f"cannot open: {error.strerror}", where=str(path)) from error


def _zone(name: str, path: Path) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise RecordingError(
            f"unknown time zone {name!r}", where=str(path), hint="for example Europe/Berlin"
        ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _report(sensor: str, readings: Readings, rows: slice) -> Report:
    values = {}
    for quantity, column in readings.columns.items():
        part = column[rows]
        if not np.isnan(part).all():
            values[quantity] = null_for_nan(part)
    units = {q: unit for q, unit in readings.units.items() if q in values}
    return Report(sensor=sensor, time_ns=readings.time_ns[rows], values=values, units=units)
