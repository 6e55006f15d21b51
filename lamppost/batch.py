# SPDX-License-Identifier: EUPL-1.2
"""What flows: batches of readings, judged readings, aggregates and indices, as numpy columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .flags import MISSING

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
FlagArray = npt.NDArray[np.uint8]
ReasonArray = npt.NDArray[np.uint32]

_ARROW_TYPES: dict[str, pa.DataType] = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "uint8": pa.uint8(),
    "uint32": pa.uint32(),
}


NAN: Final = float("nan")
# Compared by identity; a float, because a default must be hashable.
_LEFT_OUT: Final[Any] = np.float64("nan")
_NAN_BITS: Final = np.array([NAN]).view(np.int64)[0]
_TYPED: Final[dict[type, tuple[tuple[str, np.dtype[Any]], ...]]] = {}
_EMPTY: Final[dict[type, Any]] = {}
_SCHEMAS: Final[dict[type, pa.Schema]] = {}
_NOTHING: Final[list[FloatArray]] = [np.empty(0)]


def _nothing(length: int) -> FloatArray:
    """Return as many NaN, all batches the same ones: most statistics apply to few series."""
    if len(_NOTHING[0]) < length:
        _NOTHING[0] = np.full(2 * length, np.nan)
        _NOTHING[0].flags.writeable = False
    return _NOTHING[0][:length]


@dataclass(frozen=True, slots=True)
class Columns:
    """Equal-length, read-only numpy columns; subclasses name them."""

    @classmethod
    def dtypes(cls) -> dict[str, str]:
        """Return the numpy type of each column, in published order."""
        raise TypeError(cls)

    @classmethod
    def typed(cls) -> tuple[tuple[str, np.dtype[Any]], ...]:
        """Return the names and types of the columns; worked out once, every batch asks."""
        found = _TYPED.get(cls)
        if found is None:
            found = tuple((name, np.dtype(dtype)) for name, dtype in cls.dtypes().items())
            _TYPED[cls] = found
        return found

    def __post_init__(self) -> None:
        """Hold every column to its type and one length, and lock it."""
        length = -1
        for name, dtype in self.typed():
            array = getattr(self, name)
            if array is _LEFT_OUT:
                array = _nothing(length) if dtype.kind == "f" else np.zeros(length, dtype)
            if type(array) is not np.ndarray or array.dtype != dtype:
                array = np.asarray(array, dtype=dtype)
            if length not in {-1, len(array)}:
                message = f"{type(self).__name__}.{name} has {len(array)} rows, not {length}"
                raise ValueError(message)
            length = len(array)
            if array.flags.writeable:
                array = array.view()
                array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(cast("npt.NDArray[Any]", getattr(self, self.typed()[0][0])))

    def take(self, rows: npt.NDArray[Any] | slice) -> Self:
        """Return the rows at positions, or where a mask is True."""
        columns = {name: getattr(self, name)[rows] for name, _ in self.typed()}
        return type(self)(**columns)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Join batches in order; of none, the empty batch."""
        if len(parts) == 1:
            return parts[0]
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            if parts
            else np.empty(0, dtype)
            for name, dtype in cls.dtypes().items()
        }
        return cls(**columns)

    @classmethod
    def empty(cls) -> Self:
        """Return a batch without rows, always the same one."""
        if cls not in _EMPTY:
            _EMPTY[cls] = cls.concat([])
        return cast("Self", _EMPTY[cls])

    @classmethod
    def schema(cls) -> pa.Schema:
        """Return the published Arrow schema."""
        if cls not in _SCHEMAS:
            _SCHEMAS[cls] = pa.schema(
                [
                    pa.field(name, _ARROW_TYPES[dtype], nullable=False)
                    for name, dtype in cls.dtypes().items()
                ]
            )
        return _SCHEMAS[cls]

    @classmethod
    def may_lack(cls) -> dict[str, float]:
        """Return which columns a published batch may lack, and what every row then reads as.

        A column of numbers (NaN here) is left out where it says nothing; any other is only missing
        from what was published before there was such a column.
        """
        return {}

    def to_arrow(self) -> pa.RecordBatch:
        """Return the rows as an Arrow record batch, without the columns that say nothing."""
        schema = self.schema()
        may_lack = self.may_lack()
        arrays, lacking = [], []
        for place, (name, _) in enumerate(self.typed()):
            column = getattr(self, name)
            if may_lack.get(name) is NAN and _is_nothing(column):
                lacking.append(place)
            else:
                arrays.append(pa.array(column))
        for place in reversed(lacking):
            schema = schema.remove(place)
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch) -> Self:
        """Read rows of the published schema; columns that were left out are filled in."""
        present = set(batch.schema.names)
        lacking = {
            name: np.full(batch.num_rows, fill)
            for name, fill in cls.may_lack().items()
            if name not in present
        }
        columns = {
            name: lacking[name]
            if name in lacking
            else batch.column(name).to_numpy(zero_copy_only=False)
            for name in cls.dtypes()
        }
        return cls(**columns)


@dataclass(frozen=True, slots=True)
class ReadingBatch(Columns):
    """Readings as they were measured, before or after judging.

    Attributes:
        series: series code.
        time: instant of the measurement, ns UTC.
        received: instant of receipt, ns UTC.
        value: in the quantity's canonical unit; NaN where the device sent no number.
        flag: QARTOD flag.
        reasons: bit mask, see :mod:`lamppost.flags`.
    """

    series: Int32Array
    time: Int64Array
    received: Int64Array
    value: FloatArray
    flag: FlagArray
    reasons: ReasonArray

    @classmethod
    def dtypes(cls) -> dict[str, str]:
        """Return the numpy type of each column."""
        return {
            "series": "int32",
            "time": "int64",
            "received": "int64",
            "value": "float64",
            "flag": "uint8",
            "reasons": "uint32",
        }


AMENDED: Final = 1
CORRECTED: Final = 2
DERIVED: Final = 3
REDERIVED: Final = 4
"""Revisions of a judged reading, see :class:`JudgedBatch`."""

SENT: Final = (0, CORRECTED)
"""Revisions that are numbers a device sent; all others say something else about such numbers."""


@dataclass(frozen=True, slots=True)
class JudgedBatch(Columns):
    """Readings with their verdict and the evidence of the detectors.

    Attributes:
        series, time, received, value, flag, reasons: as in :class:`ReadingBatch`.
        score: how unusual, in robust standard deviations; NaN where no detector spoke.
        expected: what the detector expected, canonical unit.
        band_low: lower edge of the usual band.
        band_high: upper edge of the usual band.
        revision: 0 for the first verdict, 1 for a later one on the same number, 2 for a number the
            device has sent in place of another; 3 for a number derived from readings, 4 where what
            it was derived from has changed since.
        uncertainty: standard uncertainty (k = 1) of the value, canonical unit, NaN where none is
            stated; may be left out when a batch is made, and is left out of the published form
            where no row has one.
    """

    series: Int32Array
    time: Int64Array
    received: Int64Array
    value: FloatArray
    flag: FlagArray
    reasons: ReasonArray
    score: FloatArray
    expected: FloatArray
    band_low: FloatArray
    band_high: FloatArray
    revision: Int32Array
    uncertainty: FloatArray = _LEFT_OUT

    @classmethod
    def dtypes(cls) -> dict[str, str]:
        """Return the numpy type of each column."""
        return {
            **ReadingBatch.dtypes(),
            "score": "float64",
            "expected": "float64",
            "band_low": "float64",
            "band_high": "float64",
            "revision": "int32",
            "uncertainty": "float64",
        }

    @classmethod
    def may_lack(cls) -> dict[str, float]:
        """Return which columns a published batch may lack."""
        return {"uncertainty": NAN}

    @classmethod
    def unscored(cls, readings: ReadingBatch, revision: int = 0) -> JudgedBatch:
        """Wrap readings no detector has spoken about."""
        nothing = np.full(len(readings), np.nan)
        return cls(
            **{name: getattr(readings, name) for name in ReadingBatch.dtypes()},
            score=nothing,
            expected=nothing,
            band_low=nothing,
            band_high=nothing,
            revision=np.full(len(readings), revision, np.int32),
        )

    def numbers_of_measurements(self) -> JudgedBatch:
        """Return the readings as they are published: one that is missing has no number.

        Windows keep the number that was sent, to know a duplicate from a correction.
        """
        none = (self.flag == MISSING) & ~np.isnan(self.value)
        return replace(self, value=np.where(none, np.nan, self.value)) if none.any() else self


FIXED: Final = 0
DAY: Final = 1
MONTH: Final = 2
YEAR: Final = 3
"""Calendars of a window: a fixed length in UTC, or a day, month or year in the city's time zone."""

STATISTICS: Final = (
    "first",
    "last",
    "q05",
    "q25",
    "q50",
    "q75",
    "q95",
    "time_weighted",
    "harmonic",
    "volume_weighted",
    "resultant",
    "rate",
)
"""Columns of an aggregate that do not apply to every series: all NaN where they do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateBatch(Columns):
    """Statistics of closed windows, one row per series, window and revision.

    A window is named by series, start, length and calendar. Numbers are in the quantity's canonical
    unit and NaN where they do not apply; those marked (not for all) may be left out when a batch is
    made, and are left out of its published form where no row has one.

    Attributes:
        series: series code.
        start: first instant of the half-open window, ns UTC.
        length: length of the window, ns; days of the city's calendar have 23 to 25 h.
        calendar: 0 for a fixed length in UTC, 1 for a day, 2 for a month, 3 for a year in the
            city's time zone.
        revision: 0 when first published, or more where a window of a former time zone began at the
            same instant; each correction adds one and replaces the former.
        count: readings that entered.
        expected: readings a complete window would hold at the series' own cadence.
        coverage: part of the window the readings account for, or, beyond an hour, part of its hours
            that are valid; 0 to 1.
        mean: of the readings that entered, each with the same weight; of directions the direction
            of their mean vector, 0 up to but not including 360.
        min, max: of the readings that entered; NaN for directions.
        sd: sample standard deviation (n - 1); of directions Yamartino's estimate, degrees; NaN
            below two readings.
        total: sum of the readings that entered; NaN for directions and counters.
        first, last: the readings that entered earliest and latest by their own time.
        q05, q25, q50, q75, q95: quantiles, to 1 % of the readings they lie between (not for all).
        time_weighted: mean in which each reading counts for as long as it held (not for all).
        harmonic: space-mean speed: harmonic mean by vehicles (not for all).
        volume_weighted: mean weighted with the vehicles counted at the same instant (not for all).
        resultant: length of the mean vector of directions, 0 to 1 (not for all).
        rate: increase of a counter per hour, resets and wraps allowed for (not for all).
        suspect: readings that entered flagged suspect.
        excluded: readings kept out (failed or missing).
        flag: good, suspect (coverage below what the policy asks for), or missing (no reading
            entered).
    """

    series: Int32Array
    start: Int64Array
    length: Int64Array
    calendar: FlagArray
    revision: Int32Array
    count: Int64Array
    expected: FloatArray
    coverage: FloatArray
    mean: FloatArray
    min: FloatArray
    max: FloatArray
    sd: FloatArray
    total: FloatArray
    first: FloatArray = _LEFT_OUT
    last: FloatArray = _LEFT_OUT
    q05: FloatArray = _LEFT_OUT
    q25: FloatArray = _LEFT_OUT
    q50: FloatArray = _LEFT_OUT
    q75: FloatArray = _LEFT_OUT
    q95: FloatArray = _LEFT_OUT
    time_weighted: FloatArray = _LEFT_OUT
    harmonic: FloatArray = _LEFT_OUT
    volume_weighted: FloatArray = _LEFT_OUT
    resultant: FloatArray = _LEFT_OUT
    rate: FloatArray = _LEFT_OUT
    suspect: Int64Array
    excluded: Int64Array
    flag: FlagArray

    @property
    def withdrawn(self) -> npt.NDArray[np.bool_]:
        """Which rows take their window back: no reading was in it, though something was said."""
        nothing: npt.NDArray[np.bool_] = (self.count == 0) & (self.excluded == 0)
        return nothing & (self.revision > 0)

    @classmethod
    def dtypes(cls) -> dict[str, str]:
        """Return the numpy type of each column."""
        return {
            "series": "int32",
            "start": "int64",
            "length": "int64",
            "calendar": "uint8",
            "revision": "int32",
            "count": "int64",
            "expected": "float64",
            "coverage": "float64",
            "mean": "float64",
            "min": "float64",
            "max": "float64",
            "sd": "float64",
            "total": "float64",
            **dict.fromkeys(STATISTICS, "float64"),
            "suspect": "int64",
            "excluded": "int64",
            "flag": "uint8",
        }

    @classmethod
    def may_lack(cls) -> dict[str, float]:
        """Return which columns a published batch may lack."""
        return {"calendar": FIXED, **dict.fromkeys(STATISTICS, NAN)}


UNKNOWN_TABLE: Final = 0
"""Number of the table of an index value of which it was not told."""


@dataclass(frozen=True, slots=True)
class IndexBatch(Columns):
    """Health indices of a series, one row per hour and revision.

    An hour without readings of its own has a row too, as long as the hours before it can still give
    a value, and for one hour more, which says that there is none any longer.

    Attributes:
        series: series code of the pollutant.
        index: number of the index; the rules name it.
        end: last instant of the averaging period (exclusive), ns UTC.
        revision: 0 when first published; each correction is higher and replaces the former.
        concentration: averaged and truncated concentration, canonical unit.
        value: index value; NaN where coverage does not allow one.
        category: 1 (best) upwards; 0 where there is no value.
        coverage: valid hours of the averaging period over all its hours, 0 to 1.
        beyond: 1 where the value lies beyond the index's published table.
        table: number, among the index's own, of the table that made the value or would have; the
            entry says what stands behind it (:func:`lamppost.indices.named_tables`). 0 where it is
            not known; may be left out when a batch is made.
    """

    series: Int32Array
    index: FlagArray
    end: Int64Array
    revision: Int32Array
    concentration: FloatArray
    value: FloatArray
    category: FlagArray
    coverage: FloatArray
    beyond: FlagArray
    table: FlagArray = _LEFT_OUT

    @classmethod
    def dtypes(cls) -> dict[str, str]:
        """Return the numpy type of each column."""
        return {
            "series": "int32",
            "index": "uint8",
            "end": "int64",
            "revision": "int32",
            "concentration": "float64",
            "value": "float64",
            "category": "uint8",
            "coverage": "float64",
            "beyond": "uint8",
            "table": "uint8",
        }

    @classmethod
    def may_lack(cls) -> dict[str, float]:
        """Return which columns a published batch may lack."""
        return {"table": UNKNOWN_TABLE}


def _is_nothing(column: npt.NDArray[Any]) -> bool:
    """Return whether every row is the NaN that a column left out is filled with, bit by bit."""
    if column.base is _NOTHING[0]:
        return True
    # A first look spares the whole column: what says something mostly begins with it.
    bits = column.view(np.int64)
    return not len(bits) or bool(bits[0] == _NAN_BITS and (bits == _NAN_BITS).all())
