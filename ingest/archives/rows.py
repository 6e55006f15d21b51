# SPDX-License-Identifier: EUPL-1.2
"""Cells of any layout to readings as columns: meaning, time and value, and rows that are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from ingest.formats.archive_columns import Meaning, RowCode
from lamppost.decoded import Measurement
from lamppost.derived import is_derived
from lamppost.series import qualifiers_mapping, qualifiers_text
from lamppost.times import format_length

from .layouts import Layout, canonical
from .local_times import PROBLEMS, READ, Clock, epoch

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
RefusedRow = tuple[int, RowCode, str, str]

_arrow: Any = pc  # typed loosely: the Arrow stubs know few of these functions
_ABSENT: Final = pa.array(["", "na", "n/a", "nan", "null", "none", "-"])
_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_GUARD: Final = re.compile(r"'+[=+\-@\t\r]")
_SHOWN: Final = 200
_MEANING: TypeAdapter[Meaning] = TypeAdapter(Meaning)
_NAMED: Final = ("sensor", "quantity", "qualifiers", "unit")


@dataclass(slots=True)
class ArchiveRows:
    """What a part of a file says.

    Attributes:
        meanings: what readings mean, by number.
        meaning, time, value: the readings; instants in ns UTC, numbers in the unit of the file.
        line: the line each stands in.
        refused: line, code, problem and text of rows that are no readings.
        rows: how many rows were looked at.
        empty: cells, or rows, that hold no number.
        passed_over: aggregates of other windows than the one asked for.
        derived: rows of series that were worked out from others, which is done anew here.
        windows: resolutions of all aggregates among the rows.
    """

    meanings: list[Measurement] = field(default_factory=list)
    meaning: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    time: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    value: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    line: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    refused: list[RefusedRow] = field(default_factory=list)
    rows: int = 0
    empty: int = 0
    passed_over: int = 0
    derived: int = 0
    windows: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Keys:
    """Which sensor, quantity, qualifiers and unit each row is about, as one number per row."""

    found: list[Measurement]
    number: Int64Array


class RowReader:
    """Reads tables of one layout."""

    def __init__(
        self,
        layout: Layout,
        clock: Clock,
        *,
        decimal: str = ".",
        window: str = "",
        window_of_all: str = "",
        guarded: bool = False,
    ) -> None:
        """Take how cells are written, and the windows whose aggregates are wanted.

        Args:
            layout: of the table.
            clock: how times are written.
            decimal: what stands before decimals.
            window: resolution of the aggregates that are wanted.
            window_of_all: resolution of every row, where no column tells it.
            guarded: whether an apostrophe stands before texts that look like a formula.
        """
        self._layout = layout
        self._clock = clock
        self._decimal = decimal
        self._window = window
        self._window_of_all = window_of_all
        self._guarded = guarded

    def read(self, table: Any, lines: Int64Array) -> ArchiveRows:  # noqa: ANN401 - an Arrow table
        """Return the readings of a table, row by row."""
        said = ArchiveRows(rows=len(lines))
        if not len(lines):
            return said
        keys = self._keys(table)
        columns = self._numbers(table)
        value = np.stack([numbers for numbers, _ in columns], axis=1)
        unread = np.stack([wrong for _, wrong in columns], axis=1)
        absent = np.isnan(value) & ~unread
        instants, status = self._times(table, keys.number)
        blank = absent.all(axis=1) & self._without_time(table)
        ready = (status == READ) & ~blank
        other = ready & ~self._of_window(table, instants, said.windows)
        said.passed_over = int(other.sum())
        ready &= ~other
        made = np.array([is_derived(one.qualifiers) for one in keys.found])[keys.number]
        said.derived = int((ready & made).sum())
        ready &= ~made
        said.refused += self._refused_times(table, lines, status, blank)
        said.refused += self._refused_numbers(table, lines, unread & ready[:, None])
        said.empty = int((absent & ready[:, None]).sum())
        taken = ready[:, None] & ~np.isnan(value)
        row, column = np.nonzero(taken)
        self._name(said, keys, row, column)
        said.time, said.value, said.line = instants[row], value[row, column], lines[row]
        self._refuse_names(said, table, lines)
        return said

    def _name(self, said: ArchiveRows, keys: _Keys, row: Int64Array, column: Int64Array) -> None:
        """Give each reading the number of what it means."""
        wide = list(self._layout.columns.values())
        if not wide:
            said.meanings, said.meaning = keys.found, keys.number[row]
            return
        said.meanings = [
            key._replace(quantity=what.quantity, unit=what.unit)
            for key in keys.found
            for what in wide
        ]
        said.meaning = keys.number[row] * len(wide) + column

    def _refuse_names(self, said: ArchiveRows, table: Any, lines: Int64Array) -> None:  # noqa: ANN401 - as above
        """Take out the readings of sensors, quantities or qualifiers no name can be."""
        wrong = [_name_problem(meaning) for meaning in said.meanings]
        if not any(wrong):
            return
        bad = np.array([bool(problem) for problem in wrong])[said.meaning]
        first = np.searchsorted(lines, said.line[bad])
        said.refused += [
            (int(lines[row]), "malformed", wrong[number], _shown(table, row))
            for row, number in zip(first.tolist(), said.meaning[bad].tolist(), strict=True)
        ]
        for name in ("meaning", "time", "value", "line"):
            setattr(said, name, getattr(said, name)[~bad])

    def _keys(self, table: Any) -> _Keys:  # noqa: ANN401 - as above
        layout = self._layout
        named = [layout.station, layout.quantity, layout.unit, layout.qualifiers_text]
        columns = [*(name for name in named if name), *layout.qualifiers.values()]
        number = np.zeros(table.num_rows, np.int64)
        values: dict[str, list[str]] = {}
        for name in columns:
            coded = _arrow.dictionary_encode(_texts(table[name])).combine_chunks()
            values[name] = [self._text(text) for text in coded.dictionary.to_pylist()]
            number = number * max(len(values[name]), 1) + np.asarray(coded.indices, np.int64)
        used, number = np.unique(number, return_inverse=True)
        found = []
        for code in used.tolist():
            cells = {}
            for name in reversed(columns):
                code, place = divmod(code, max(len(values[name]), 1))  # noqa: PLW2901 - digit by digit
                cells[name] = values[name][place]
            found.append(self._measurement(cells))
        return _Keys(found, number.reshape(-1))

    def _text(self, cell: str) -> str:
        """Return what a cell says: as it is where we wrote it, else without blanks around it."""
        if not self._layout.guarded:
            return cell.strip()
        return cell[1:] if self._guarded and _GUARD.match(cell) else cell

    def _measurement(self, cells: dict[str, str]) -> Measurement:
        layout = self._layout
        given = qualifiers_mapping(cells.get(layout.qualifiers_text, ""))
        named = {key: cells[column] for key, column in layout.qualifiers.items() if cells[column]}
        quantity = cells.get(layout.quantity, "")
        known = canonical(quantity, layout.names)
        unit = cells.get(layout.unit) or None
        if layout.name == "sensor.community" and known == "pressure":
            unit = "Pa"
        sensor = layout.template.replace("{id}", cells.get(layout.station, ""))
        return Measurement(sensor, known, qualifiers_text({**given, **named}), unit)

    def _numbers(self, table: Any) -> list[tuple[npt.NDArray[np.float64], BoolArray]]:  # noqa: ANN401 - as above
        names = [self._layout.value] if self._layout.value else list(self._layout.columns)
        return [_numbers(table[name], self._decimal) for name in names]

    def _times(self, table: Any, series: Int64Array) -> tuple[Int64Array, npt.NDArray[np.uint8]]:  # noqa: ANN401 - as above
        columns = [table[name] for name in self._layout.times]
        return _instants(columns, self._clock, series)

    def _without_time(self, table: Any) -> BoolArray:  # noqa: ANN401 - as above
        texts = _joined([_texts(table[name]) for name in self._layout.times])
        return np.asarray(_arrow.equal(_arrow.utf8_trim_whitespace(texts), ""), np.bool_)

    def _of_window(self, table: Any, start: Int64Array, there: set[str]) -> BoolArray:  # noqa: ANN401 - as above
        """Return which rows are about windows that are wanted; add what else there is."""
        layout = self._layout
        if not layout.window_end:
            return np.ones(len(start), np.bool_)
        if layout.window:
            names = _texts(table[layout.window])
            there.update(_arrow.unique(names).to_pylist())
            return np.asarray(_arrow.equal(names, self._window), np.bool_)
        if self._window_of_all:
            there.add(self._window_of_all)
            return np.full(len(start), self._window_of_all == self._window)
        end, status = _instants([table[layout.window_end]], self._clock, np.zeros_like(start))
        length = np.where(status == READ, end - start, 0)
        found = {int(one): format_length(int(one)) for one in np.unique(length[length > 0])}
        there.update(found.values())
        wanted = [one for one, name in found.items() if name == self._window]
        return np.isin(length, wanted)

    @staticmethod
    def _refused_times(
        table: Any,  # noqa: ANN401 - as above
        lines: Int64Array,
        status: npt.NDArray[np.uint8],
        blank: BoolArray,
    ) -> list[RefusedRow]:
        rows = np.flatnonzero((status != READ) & ~blank).tolist()
        return [
            (int(lines[row]), "time_implausible", PROBLEMS[int(status[row])], _shown(table, row))
            for row in rows
        ]

    def _refused_numbers(
        self,
        table: Any,  # noqa: ANN401 - as above
        lines: Int64Array,
        unread: BoolArray,
    ) -> list[RefusedRow]:
        names = [self._layout.value] if self._layout.value else list(self._layout.columns)
        rows, columns = np.nonzero(unread)
        return [
            (int(lines[row]), "malformed", f"{names[column]} is not a number", _shown(table, row))
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        ]


def _instants(
    columns: Sequence[Any], clock: Clock, series: Int64Array
) -> tuple[Int64Array, npt.NDArray[np.uint8]]:
    """Return instants of columns of texts, of Unix times, or of what Parquet knows to be times."""
    first = columns[0]
    if len(columns) > 1 or pa.types.is_string(first.type) or pa.types.is_large_string(first.type):
        return clock.read(_joined([_texts(column) for column in columns]).combine_chunks(), series)
    if pa.types.is_timestamp(first.type):
        missing = np.asarray(_arrow.is_null(first), np.bool_)
        stamps = _arrow.cast(first, pa.timestamp("us", first.type.tz), safe=False)
        wall = np.asarray(_arrow.fill_null(_arrow.cast(stamps, pa.int64()), 0), np.int64)
        if first.type.tz is None:
            return clock.place(wall, missing, series)
        return wall * 1000, np.where(missing, 1, READ).astype(np.uint8)
    return epoch(np.asarray(_arrow.cast(first, pa.float64()), np.float64))


def _texts(column: Any) -> Any:  # noqa: ANN401 - Arrow columns
    """Return a column as texts, empty where there is nothing."""
    return _arrow.fill_null(_arrow.cast(column, pa.string()), "")


def _joined(columns: Sequence[Any]) -> Any:  # noqa: ANN401 - as above
    return columns[0] if len(columns) == 1 else _arrow.binary_join_element_wise(*columns, " ")


def _numbers(column: Any, decimal: str) -> tuple[npt.NDArray[np.float64], BoolArray]:  # noqa: ANN401 - as above
    """Return numbers, NaN where there is none, and which cells hold something else."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        value = np.asarray(_arrow.cast(column, pa.float64()), np.float64)
        return np.where(np.isinf(value), np.nan, value), np.isinf(value)
    texts = _arrow.utf8_trim_whitespace(_texts(column))
    if decimal == ",":
        texts = _arrow.replace_substring(texts, ",", ".")
    absent = _arrow.is_in(_arrow.utf8_lower(texts), _ABSENT)
    texts = _arrow.if_else(absent, None, texts)
    try:
        value = np.asarray(_arrow.cast(texts, pa.float64()), np.float64)
        wrong = np.isinf(value)
    except pa.ArrowInvalid:
        fits = _arrow.match_substring_regex(texts, _NUMBER)
        kept = _arrow.if_else(fits, texts, None)
        value = np.asarray(_arrow.cast(kept, pa.float64()), np.float64)
        wrong = np.isinf(value) | ~np.asarray(_arrow.fill_null(fits, True), np.bool_)
    return np.where(wrong, np.nan, value), wrong


def _name_problem(meaning: Measurement) -> str:
    """Return what is wrong with the names of a series, empty if nothing."""
    try:
        _MEANING.validate_python(tuple(meaning))
    except ValidationError as error:
        place = error.errors(include_url=False)[0]["loc"][0]
        name = meaning[int(place)]
        return f"{str(name)[:_SHOWN]!r} cannot be the {_NAMED[int(place)]} of a series"
    return ""


def _shown(table: Any, row: int) -> str:  # noqa: ANN401 - as above
    """Return a row as text, to be recognised by."""
    cells = ["" if (cell := column[row].as_py()) is None else str(cell) for column in table.columns]
    return ",".join(cells)[:_SHOWN]
