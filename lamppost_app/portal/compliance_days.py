# SPDX-License-Identifier: EUPL-1.2
"""Days of the store that limits are compared with, kept in memory and brought up to date."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lamppost.batch import Int64Array
from lamppost.compliance import Basis, Compliance, ComplianceRule
from processors.compliance.daily import Days, Needs, reduce, usable
from processors.compliance.reckoning import Reckoning, year_days
from sinks.store_reader import QueryTimedOut, StoreReader

from . import queries_compliance

_AT_ONCE = 31
"""Days whose windows are read in one go: about 400,000 hours at 500 series."""
_GAP = 3
"""Days between two that have changed that are read with them rather than apart."""

Rows = npt.NDArray[np.intp]


class KeptDays:
    """What rules must know of each day of every series of a quantity, for one year of verdicts.

    A rule that averages over years needs the days of those before.

    The days are a function of the newest windows in the store; when and in which order these came
    makes no difference.
    """

    def __init__(
        self,
        basis: Basis,
        given: list[ComplianceRule],
        rules: Compliance,
        reckoning: Reckoning,
        year: int,
        stop: threading.Event,
    ) -> None:
        """Take the rules about windows of one length; nothing is read yet, nor once stopped."""
        self.basis = basis
        self.rules = given
        self._settings = rules
        self._reckoning = reckoning
        self._year = year
        self._stop = stop
        self._needs = Needs.of(given)
        self._codes: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._days: Days | None = None

    @property
    def days(self) -> Days:
        """The days, after they were brought up to date.

        Raises:
            ValueError: they never were.
        """
        if self._days is None:
            raise ValueError(self.basis)
        return self._days

    def update(self, reader: StoreReader, codes: list[int], changed: pa.Table | None) -> bool:
        """Read everything the first time, and what is new or revised from then on.

        Args:
            reader: of the store.
            codes: of every series of the quantity, ascending.
            changed: windows of any series that are new or revised since the last time.

        Returns:
            Whether anything has changed.
        """
        grown = self._take_in(codes)
        if self._days is None:
            self._load(reader)
            return True
        renewed = changed is not None and self._renew(reader, changed)
        return renewed or grown

    def _take_in(self, codes: list[int]) -> bool:
        """Make room for series that are new: all their windows are among those that changed."""
        known = len(self._codes)
        self._codes = np.array(codes, np.int64)
        if self._days is None or known == len(codes):
            return False
        self._days.grow(len(codes))
        return True

    def _load(self, reader: StoreReader) -> None:
        """Read the years the rules need, as far as there is anything of them."""
        years = max(rule.years for rule in self.rules)
        # Six months in a row may have begun in the year before.
        if any(rule.averaging == "peak_season" for rule in self.rules):
            years = max(years, 2)
        first, end = year_days(self._year - years + 1)[0], year_days(self._year)[1]
        window_ns = self._needs.window_ns
        starts = self._reckoning.starts(first, end)
        self._days = Days.empty(first, starts, self._needs, len(self._codes))
        between = int(starts[0]) - self._needs.lead * window_ns, int(starts[-1])
        held = queries_compliance.span(reader, self._codes.tolist(), window_ns, between)
        if held is not None:
            begin = max(first, self._reckoning.day(held[0]))
            until = min(end, self._reckoning.day(held[1]) + 2)
            self._read(reader, np.arange(len(self._codes)), begin, until)

    def _renew(self, reader: StoreReader, changed: pa.Table) -> bool:
        """Read again the days of which a window is new or revised."""
        if self._days is None:
            return False
        starts = self._days.starts
        lead = self._needs.lead * self._needs.window_ns
        series, start = _numbers(changed, "series"), _numbers(changed, "start")
        own = np.isin(series, self._codes) & (start >= starts[0] - lead) & (start < starts[-1])
        if not own.any():
            return False
        series, start = series[own], start[own]
        # The last hours of a day are part of means that end on the next.
        touched = [np.searchsorted(starts, start + ahead, "right") - 1 for ahead in (0, lead)]
        day = np.clip(np.concatenate(touched), 0, len(starts) - 2) + self._days.first
        rows = np.tile(np.searchsorted(self._codes, series), 2)
        for first, end in _stretches(day):
            inside = (day >= first) & (day < end)
            self._read(reader, np.unique(rows[inside]), first, end)
        return True

    def _read(self, reader: StoreReader, rows: Rows, first: int, end: int) -> None:
        """Read the windows of some series and days, and work out the days.

        Raises:
            QueryTimedOut: told to stop meanwhile.
        """
        window_ns, lead = self._needs.window_ns, self._needs.lead
        for begin in range(first, end, _AT_ONCE):
            if self._stop.is_set():
                raise QueryTimedOut("the portal is being stopped")
            until = min(begin + _AT_ONCE, end)
            starts = self._reckoning.starts(begin, until)
            # Windows begin on multiples of their length, days perhaps not.
            origin = -(-int(starts[0]) // window_ns) * window_ns - lead * window_ns
            count = -((origin - int(starts[-1])) // window_ns)
            codes = self._codes[rows]
            found = queries_compliance.windows(
                reader, codes.tolist(), window_ns, (origin, int(starts[-1]))
            )
            values = np.full((len(rows), count), np.nan)
            values[
                np.searchsorted(codes, _numbers(found, "series")),
                (_numbers(found, "start") - origin) // window_ns,
            ] = usable(
                _floats(found, "mean"),
                _floats(found, "coverage"),
                _numbers(found, "flag").astype(np.uint8),
                self._settings,
                self.basis.samples,
            )
            self.days.put(rows, reduce(values, origin, begin, starts, self._needs, self._settings))


def _stretches(day: Int64Array) -> Iterator[tuple[int, int]]:
    """Yield half-open stretches that hold all days, and few others."""
    days = np.unique(day)
    edges = np.flatnonzero(np.diff(days) > _GAP) + 1
    for part in np.split(days, edges):
        yield int(part[0]), int(part[-1]) + 1


def _numbers(table: pa.Table, name: str) -> Int64Array:
    found: Int64Array = table.column(name).to_numpy().astype(np.int64)
    return found


def _floats(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    # A number that is not there is NULL in the store, and NaN here.
    found: npt.NDArray[np.float64] = table.column(name).to_numpy().astype(np.float64)
    return found
