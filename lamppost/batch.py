# SPDX-License-Identifier: EUPL-1.2
"""What flows: batches of readings, judged readings, aggregates and indices, as numpy columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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


_TYPED: Final[dict[type, tuple[tuple[str, np.dtype[Any]], ...]]] = {}


@dataclass(frozen=True, slots=True)
class Columns:
    """Equal-length, read-only numpy columns; subclasses name them.

    The numpy type of a column is the default value's type in ``DTYPES``.
    """

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
        return len(cast("npt.NDArray[Any]", getattr(self, fields(self)[0].name)))

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
        """Return a batch without rows."""
        return cls.concat([])

    @classmethod
    def schema(cls) -> pa.Schema:
        """Return the published Arrow schema."""
        return pa.schema(
            [
                pa.field(name, _ARROW_TYPES[dtype], nullable=False)
                for name, dtype in cls.dtypes().items()
            ]
        )

    def to_arrow(self) -> pa.RecordBatch:
        """Return the rows as an Arrow record batch."""
        arrays = [pa.array(getattr(self, name)) for name in self.dtypes()]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema())

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch) -> Self:
        """Read rows of the published schema."""
        columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in cls.dtypes()}
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
"""Revisions of a judged reading; those beside AMENDED are numbers a device sent."""


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
            device has sent in place of another.
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
        }

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


@dataclass(frozen=True, slots=True)
class AggregateBatch(Columns):
    """Statistics of closed windows, one row per series, window and revision.

    Attributes:
        series: series code.
        start: first instant of the half-open window, ns UTC.
        length: length of the window, ns.
        revision: 0 when first published; each correction adds one and replaces the former.
        count: readings that entered.
        expected: readings a complete window would hold at the series' own cadence.
        coverage: part of the window the readings account for, 0 to 1.
        mean, min, max: of the readings that entered, canonical unit.
        sd: sample standard deviation (n - 1); NaN below two readings.
        total: sum of the readings that entered.
        suspect: readings that entered flagged suspect.
        excluded: readings kept out (failed or missing).
        flag: good, suspect (coverage below the policy's minimum), or missing (no reading entered).
    """

    series: Int32Array
    start: Int64Array
    length: Int64Array
    revision: Int32Array
    count: Int64Array
    expected: FloatArray
    coverage: FloatArray
    mean: FloatArray
    min: FloatArray
    max: FloatArray
    sd: FloatArray
    total: FloatArray
    suspect: Int64Array
    excluded: Int64Array
    flag: FlagArray

    @classmethod
    def dtypes(cls) -> dict[str, str]:
        """Return the numpy type of each column."""
        return {
            "series": "int32",
            "start": "int64",
            "length": "int64",
            "revision": "int32",
            "count": "int64",
            "expected": "float64",
            "coverage": "float64",
            "mean": "float64",
            "min": "float64",
            "max": "float64",
            "sd": "float64",
            "total": "float64",
            "suspect": "int64",
            "excluded": "int64",
            "flag": "uint8",
        }


@dataclass(frozen=True, slots=True)
class IndexBatch(Columns):
    """Health indices of a series, one row per hour and revision.

    Attributes:
        series: series code of the pollutant.
        index: number of the index in the registry's order of names (see :data:`INDEX_NAMES`).
        end: last instant of the averaging period (exclusive), ns UTC.
        revision: as in :class:`AggregateBatch`.
        concentration: averaged and truncated concentration, canonical unit.
        value: index value; NaN where coverage does not allow one.
        category: 1 (best) upwards; 0 where there is no value.
        coverage: valid hours of the averaging period over all its hours, 0 to 1.
        beyond: 1 where the value lies beyond the index's published table.
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
        }
