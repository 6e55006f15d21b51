# SPDX-License-Identifier: EUPL-1.2
"""Rows kept by (series, instant), newest version first: what late data is merged with."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

RowArray = npt.NDArray[Any]
KeyArray = npt.NDArray[np.int64]

# One int64 orders (series, time): 20 bits of series code above 43 bits of milliseconds. Instants of
# one millisecond share a key and are told apart by their exact time.
_TIME_BITS: Final = 43
_MILLISECOND_NS: Final = 1_000_000
_FAN_IN: Final = 8


def keys_of(series: npt.NDArray[Any], time: npt.NDArray[Any]) -> KeyArray:
    """Return the ordering key of (series, instant) pairs."""
    keys: KeyArray = (series.astype(np.int64) << _TIME_BITS) + time // _MILLISECOND_NS
    return keys


def ordered(rows: RowArray) -> RowArray:
    """Sort rows by series and time, keeping only the newest version of each instant.

    Rows given later are newer. Where an older version covered more time, the newer inherits it
    (an amended verdict says nothing about cadence).
    """
    keys = keys_of(rows["series"], rows["time"])
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
        low, high = keys_of(series, start), keys_of(series, end)
        found = [np.empty(0, self._dtype)]
        for chunk in self._chunks:
            keys = keys_of(chunk["series"], chunk["time"])
            found.append(chunk[_ranges(np.searchsorted(keys, low), np.searchsorted(keys, high))])
        return ordered(np.concatenate(found))

    def find(
        self, series: npt.NDArray[Any], time: KeyArray
    ) -> tuple[npt.NDArray[np.bool_], RowArray]:
        """Return which instants are held, and the newest row of each (zeros where none is)."""
        held = np.zeros(len(series), np.bool_)
        rows = np.zeros(len(series), self._dtype)
        wanted = keys_of(series, time)
        for chunk in self._chunks:
            keys = keys_of(chunk["series"], chunk["time"])
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
