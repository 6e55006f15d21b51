# SPDX-License-Identifier: EUPL-1.2
"""Outbox columns as InfluxDB line protocol, built column by column, never reading by reading.

Every field is a float but for the two that say which table made an index value, which are texts;
every time is nanoseconds. A field that is NaN, infinite or unknown is omitted; each measurement has
an integer field, so every row has a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import FIXED, STATISTICS, AggregateBatch, Columns, IndexBatch, JudgedBatch
from lamppost.frames import arrow_batch, arrow_bytes
from lamppost.indices import IndexTable, TableNames
from lamppost.log import AGGREGATES, ALERTS, INDICES, READINGS, Entry
from lamppost.periods import resolution_name, resolutions
from lamppost.series import SeriesKey, qualifiers_mapping

from .series_names import SeriesNames
from .text_columns import Part, TextColumn, join, numbers, or_empty, pick, spelled, texts

READING_FIELDS: Final = (
    "value",
    "flag",
    "reasons",
    "score",
    "expected",
    "band_low",
    "band_high",
    "uncertainty",
)
AGGREGATE_FIELDS: Final = (
    "count",
    "expected",
    "coverage",
    "mean",
    "min",
    "max",
    "sd",
    "total",
    *STATISTICS,
    "suspect",
    "excluded",
    "flag",
    "revision",
)
INDEX_FIELDS: Final = ("value", "concentration", "category", "coverage", "beyond", "revision")
INDEX_TEXTS: Final = ("averaging", "table_version")
ALERT_FIELDS: Final = ("active", "acknowledged")


class Measurement(NamedTuple):
    """One kind of point; its fields are floats or always texts, so that none changes its type.

    Attributes:
        tags: beside one for each qualifier of the series.
        fields: floats it can have; one that is not a number is left out.
        time: which instant its time is.
        texts: texts it can have; one that is not known is left out.
    """

    tags: tuple[str, ...]
    fields: tuple[str, ...]
    time: str
    texts: tuple[str, ...] = ()

    @property
    def all_fields(self) -> tuple[str, ...]:
        """The names of all fields it can have."""
        return (*self.fields, *self.texts)


_SERIES_TAGS: Final = ("station", "quantity")
LAYOUT: Final = {
    "readings": Measurement(_SERIES_TAGS, READING_FIELDS, "instant of the reading"),
    "aggregates": Measurement(
        (*_SERIES_TAGS, "window"), AGGREGATE_FIELDS, "first instant of the window"
    ),
    "indices": Measurement(
        (*_SERIES_TAGS, "index"), INDEX_FIELDS, "end of the averaging period", INDEX_TEXTS
    ),
    "alerts": Measurement(
        (*_SERIES_TAGS, "rule", "severity"), ALERT_FIELDS, "instant of the event"
    ),
}
"""What is written, for whoever reads it: docs and dashboards are checked against it."""

# Names of ours; a qualifier of the same name is stored as q_<name>. No tag may be named like a
# field: some servers refuse it, the others then delete by neither.
_RESERVED: Final = frozenset(
    {"time", *(name for kind in LAYOUT.values() for name in (*kind.tags, *kind.all_fields))}
)
# Servers disagree about backslashes, and none takes control characters.
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\\%]")
_QUOTED: Final = re.compile(r'[\x00-\x1f\x7f\\"]')
_SPECIAL: Final = re.compile(r"[ ,=]")
_SMALL: Final = texts(str(number) for number in range(256))


def escape(text: str) -> str:
    r"""Return a tag key or value as it stands in a line.

    Space, comma and equals sign get a backslash. Control characters, the backslash and the percent
    sign are percent-encoded, because servers read a literal backslash differently.

    >>> print(escape("Main St, north"))
    Main\ St\,\ north
    >>> escape("50%")
    '50%25'
    """
    return _backslashed(stored(text))


def stored(text: str) -> str:
    """Return a tag key or value as it stands in the database, and in a question about it."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)


def stored_tags(key: SeriesKey) -> list[tuple[str, str]]:
    """Return the tags of a series as they stand in the database.

    A line cannot hold an empty tag: an empty name is left out, an empty qualifier reads ``%``.
    """
    pairs = [("station", key.sensor), ("quantity", key.quantity)]
    named = [(name, stored(value)) for name, value in pairs if value]
    qualifiers = qualifiers_mapping(key.qualifiers).items()
    return named + [(_tag_name(name), stored(value) or "%") for name, value in qualifiers]


def tags(key: SeriesKey) -> str:
    """Return the tags of a series as they stand in a line, with a leading comma."""
    return "".join(
        f",{_backslashed(name)}={_backslashed(value)}" for name, value in stored_tags(key)
    )


def _backslashed(encoded: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", encoded)


def shorter_than(entry: Entry, length_ns: int) -> tuple[Entry, Entry]:
    """Return an entry of aggregates in two: windows shorter than a length, and all others."""
    batch = AggregateBatch.from_arrow(arrow_batch(entry.body))
    short = (batch.calendar == FIXED) & (batch.length < length_ns)
    bodies = [arrow_bytes(batch.take(rows).to_arrow()) for rows in (short, ~short)]
    return entry._replace(body=bodies[0]), entry._replace(body=bodies[1])


class LineWriter:
    """Turns outbox entries into lines; keeps the tags of each series ready."""

    def __init__(self, names: SeriesNames) -> None:
        """Read names from a table that may grow between calls."""
        self._names = names
        self._tags: list[str] = []
        self._tags_array = texts(())
        self._writers: Mapping[str, Callable[[bytes], TextColumn]] = {
            READINGS: self._readings,
            AGGREGATES: self._aggregates,
            INDICES: self._indices,
            ALERTS: self._alerts,
        }

    def lines(self, entry: Entry) -> TextColumn:
        """Return the lines of an entry, each with its line end; none for kinds without lines."""
        writer = self._writers.get(entry.kind)
        return texts(()) if writer is None else writer(entry.body)

    def _readings(self, body: bytes) -> TextColumn:
        batch = JudgedBatch.from_arrow(arrow_batch(body))
        heads = ("readings", self._series(batch.series))
        return _lines(heads, batch, READING_FIELDS, batch.time)

    def _aggregates(self, body: bytes) -> TextColumn:
        batch = AggregateBatch.from_arrow(arrow_batch(body))
        windows = spelled(
            resolutions(batch.length, batch.calendar),
            lambda number: f",window={resolution_name(number)}",
        )
        heads = ("aggregates", self._series(batch.series), windows)
        return _lines(heads, batch, AGGREGATE_FIELDS, batch.start)

    def _indices(self, body: bytes) -> TextColumn:
        columns = arrow_batch(body)
        batch, tables = IndexBatch.from_arrow(columns), TableNames(columns.schema.metadata)
        names = spelled(
            batch.index, lambda number: f",index={escape(self._names.index_name(number))}"
        )
        heads = ("indices", self._series(batch.series), names)
        told = spelled(tables.codes(batch), lambda code: _text_fields(tables.by_code(code)))
        return _lines(heads, batch, INDEX_FIELDS, batch.end, told)

    def _alerts(self, body: bytes) -> TextColumn:
        return texts(_alert_line(event) for event in json.loads(body))

    def _series(self, codes: npt.NDArray[np.int32]) -> TextColumn:
        known = self._names.series
        if len(self._tags) < len(known):
            fresh = range(len(self._tags), len(known))
            self._tags += [tags(known[code]) for code in fresh]
            self._tags_array = texts(self._tags)
        return pick(self._tags_array, codes)


def _tag_name(name: str) -> str:
    """Return the tag name of a qualifier, distinct for distinct qualifiers and never ours."""
    taken = name in _RESERVED or name.startswith(("q_", "_")) or not name
    return stored(f"q_{name}" if taken else name)


def _text_fields(table: IndexTable) -> str:
    """Return what is known of a table as fields, with a leading comma."""
    known = zip(INDEX_TEXTS, (table.averaging, table.version), strict=True)
    return "".join(f',{name}="{_QUOTED.sub("", text)}"' for name, text in known if text)


def _lines(
    heads: Sequence[Part],
    batch: Columns,
    names: Iterable[str],
    time: npt.NDArray[np.int64],
    more: Part = "",
) -> TextColumn:
    # Every measurement has an integer field, so there is always a complete one to begin with.
    complete: list[Part] = []
    partial: list[Part] = []
    for name in names:
        column = getattr(batch, name)
        absent = ~np.isfinite(column)
        if not absent.any():
            complete += [f",{name}=", _spelled(column)]
        elif not absent.all():
            partial.append(or_empty(join(f",{name}=", numbers(column, absent))))
    tail: list[Part] = [more, " ", numbers(time), "\n"]
    complete[0] = " " + str(complete[0])[1:]
    return join(*heads, *complete, *partial, *tail)


def _spelled(column: npt.NDArray[Any]) -> TextColumn:
    return pick(_SMALL, column) if column.dtype == np.uint8 else numbers(column)


def _alert_line(event: Mapping[str, Any]) -> str:
    key = SeriesKey(event["sensor"], event["quantity"], event["qualifiers"])
    marks = f"rule={escape(event['rule'])},severity={escape(event['severity'])}"
    active = int(event["kind"] != "resolved")
    acknowledged = int(event["kind"] == "acknowledged")
    state = f"active={active},acknowledged={acknowledged}"
    return f"alerts{tags(key)},{marks} {state} {event['at']}\n"
