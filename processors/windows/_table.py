# SPDX-License-Identifier: EUPL-1.2
"""Rows kept by (series, instant), newest version first: what late data is merged with."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.times import SECOND_NS

RowArray = npt.NDArray[Any]
KeyArray = npt.NDArray[np.int64]

_FAN_IN: Final = 8


class Precision(NamedTuple):
    """How one int64 orders (series, time): the series code above the bits of a rounded time.

    Instants that round to the same share a key and are told apart by their exact time. Rows are
    stored in exact order, which the keys of either precision follow.
    """

    time_bits: int
    unit_ns: int

    def keys(self, series: npt.NDArray[Any], time: npt.NDArray[Any]) -> KeyArray:
        """Return the ordering keys of pairs."""
        keys: KeyArray = (series.astype(np.int64) << self.time_bits) + time // self.unit_ns
        return keys


_MILLISECONDS: Final = Precision(43, 1_000_000)
# Every int32 code fits above 32 bits of seconds; windows begin on whole seconds.
_SECONDS: Final = Precision(32, SECOND_NS)
_FEW_SERIES: Final = 1 << (63 - _MILLISECONDS.time_bits)


def precision_for(*series: npt.NDArray[Any]) -> Precision:
    """Return the finest precision in which the keys of all of these codes are different."""
    largest = max((int(codes.max()) for codes in series if len(codes)), default=0)
    return _MILLISECONDS if largest < _FEW_SERIES else _SECONDS


def ordered(rows: RowArray) -> RowArray:
    """Sort rows by series and time, keeping only the newest version of each instant.

    Rows given later are newer. Where an older version covered more time, the newer inherits it
    (an amended verdict says nothing about cadence).
    """
    keys = precision_for(rows["series"]).keys(rows["series"], rows["time"])
    order = np.argsort(keys, kind="stable")
    rows, keys = rows[order], keys[order]
    same_key = keys[1:] == keys[:-1]
    if not same_key.any():
        return rows
    if (rows["time"][1:] != rows["time"][:-1])[same_key].any():
        rows = rows[np.lexsort((rows["time"], rows["series"]))]
    same = (rows["time"][1:] == rows["time"][:-1]) & (rows["series"][1:] == rows["series"][:-1])
    starts = np.flatnonzero(np.append(True, ~same))
    newest: RowArray = rows[np.append(~same, True)]
    newest["cover"] = np.maximum.reduceat(rows["cover"], starts)
    return newest


class Table:
    """A log-structured table: sorted chunks, merged eight at a time, newest version wins."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        """Start empty; rows need the fields series, time and cover."""
        self._dtype = np.dtype(dtype)
        self._chunks: list[RowArray] = []

    def __len__(self) -> int:
        """Return how many rows are held, older versions included."""
        return sum(len(chunk) for chunk in self._chunks)

    def insert(self, rows: RowArray) -> None:
        """Take in rows that :func:`ordered` returned."""
        if len(rows):
            self._chunks.append(rows)
            self._merge()

    def between(self, series: npt.NDArray[Any], start: KeyArray, end: KeyArray) -> RowArray:
        """Return the newest rows of each series in its half-open span of time, sorted."""
        precision = precision_for(series, *self._largest())
        low, high = precision.keys(series, start), precision.keys(series, end)
        found = [np.empty(0, self._dtype)]
        for chunk in self._chunks:
            keys = precision.keys(chunk["series"], chunk["time"])
            found.append(chunk[_ranges(np.searchsorted(keys, low), np.searchsorted(keys, high))])
        return ordered(np.concatenate(found))

    def find(
        self, series: npt.NDArray[Any], time: KeyArray
    ) -> tuple[npt.NDArray[np.bool_], RowArray]:
        """Return which instants are held, and the newest row of each (zeros where none is)."""
        held = np.zeros(len(series), np.bool_)
        rows = np.zeros(len(series), self._dtype)
        precision = precision_for(series, *self._largest())
        wanted = precision.keys(series, time)
        for chunk in self._chunks:
            keys = precision.keys(chunk["series"], chunk["time"])
            position, last = np.searchsorted(keys, wanted), np.searchsorted(keys, wanted, "right")
            while (open_rows := position < last).any():
                at = np.flatnonzero(open_rows)
                hit = at[chunk["time"][position[at]] == time[at]]
                held[hit] = True
                rows[hit] = chunk[position[hit]]
                position[at] += 1
        return held, rows

    def evict(self, oldest: KeyArray) -> None:
        """Forget rows older than their series' instant in ``oldest``, shape (series,)."""
        kept = (chunk[chunk["time"] >= oldest[chunk["series"]]] for chunk in self._chunks)
        self._chunks = [chunk for chunk in kept if len(chunk)]

    def snapshot(self) -> RowArray:
        """Return the newest version of every row."""
        return ordered(np.concatenate([np.empty(0, self._dtype), *self._chunks]))

    def restore(self, rows: RowArray) -> None:
        """Take over the rows of a snapshot."""
        self._chunks = [rows.astype(self._dtype)] if len(rows) else []

    def _largest(self) -> list[npt.NDArray[Any]]:
        """Return the largest series code of each chunk."""
        return [chunk["series"][-1:] for chunk in self._chunks]

    def _merge(self) -> None:
        while len(self._chunks) >= _FAN_IN:
            tail = self._chunks[-_FAN_IN:]
            if len(tail[0]) > 2 * _FAN_IN * max(len(chunk) for chunk in tail[1:]):
                break
            self._chunks[-_FAN_IN:] = [ordered(np.concatenate(tail))]


def _ranges(starts: KeyArray, ends: KeyArray) -> KeyArray:
    lengths = ends - starts
    total = int(lengths.sum())
    offsets = np.repeat(ends - np.cumsum(lengths), lengths)
    return offsets + np.arange(total)
