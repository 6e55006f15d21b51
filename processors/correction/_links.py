# SPDX-License-Identifier: EUPL-1.2
"""Which series belong together: one to correct, its second channel, humidity, proof of channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from lamppost.batch import Int32Array, Int64Array
from lamppost.derived import METHOD_QUALIFIERS
from lamppost.grouping import BoolArray
from lamppost.series import SeriesKey, SeriesTable, qualifiers_mapping

OWN: Final = 0
TWIN: Final = 1
HUMIDITY: Final = 2
PROOF: Final = 3
ROLES: Final = 4

_CHANNEL: Final = "channel"


@dataclass(frozen=True, slots=True)
class Linked:
    """Rows of a batch, one for each unit they belong to, in order of arrival.

    Attributes:
        rows: positions in the batch, shape (n,).
        unit: number of the unit, shape (n,).
        role: what the row is in it, shape (n,).
    """

    rows: Int64Array
    unit: Int64Array
    role: Int64Array


class Links:
    """Units: a series to correct with the series it needs, found by their names as they appear.

    Of a device with two channels, channel ``a`` is the series to correct and needs channel ``b``; a
    series without channel stands alone. Humidity belongs to every unit of its sensor whose
    qualifiers it does not contradict. A quantity given as proof has the qualifiers of the series to
    correct. Units are numbered in order of the series table.
    """

    def __init__(
        self,
        series: SeriesTable,
        is_input: Callable[[SeriesKey], bool],
        *,
        humidity: bool,
        proof: Callable[[str], str] = lambda _: "",
        wanted: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Take the table of series, which may grow, and what is to be corrected.

        Args:
            series: the table.
            is_input: tells what is to be corrected.
            humidity: whether units need humidity.
            proof: the quantity that must stand beside the one to correct of a sensor, or none.
            wanted: whether a sensor is ever corrected; else its series are linked with nothing.
        """
        self._series = series
        self._is_input = is_input
        self._humidity = humidity
        self._proof = proof
        self._wanted = wanted
        self._known = 0
        self._own: list[int] = []
        self._units_of: dict[str, list[int]] = {}
        self._partners_of: dict[str, list[int]] = {}
        self._pairs: list[tuple[int, int, int]] = []
        self._starts: Int64Array = np.zeros(1, np.int64)
        self._linked: Int64Array = np.empty((0, 2), np.int64)
        self.codes: Int32Array = np.empty(0, np.int32)
        self.needs: BoolArray = np.empty((0, ROLES), np.bool_)

    def __len__(self) -> int:
        """Return how many units are known."""
        return len(self.codes)

    def of(self, series: Int32Array) -> Linked:
        """Return the rows that belong to units, by their series codes."""
        self._grow()
        starts = self._starts[series]
        counts = self._starts[series + 1] - starts
        rows = np.flatnonzero(counts)
        repeated = counts[rows]
        if len(rows) and repeated.max() > 1:
            behind = np.arange(repeated.sum()) - np.repeat(np.cumsum(repeated) - repeated, repeated)
            rows = np.repeat(rows, repeated)
            places = starts[rows] + behind
        else:
            places = starts[rows]
        linked = self._linked[places]
        return Linked(rows, linked[:, 0], linked[:, 1])

    def _grow(self) -> None:
        if self._known == len(self._series):
            return
        first_unit, first_pair = len(self), len(self._pairs)
        for code in range(self._known, len(self._series)):
            self._place(code)
        self._known = len(self._series)
        added = self._own[first_unit:]
        self.codes = np.append(self.codes, np.array(added, np.int32))
        needs = [self._needs(self._series[code]) for code in added]
        self.needs = np.concatenate([self.needs, np.array(needs, np.bool_).reshape(-1, ROLES)])
        if len(self._pairs) > first_pair or len(self._starts) <= self._known:
            table = np.array(self._pairs, np.int64).reshape(-1, 3)
            order = np.argsort(table[:, 0], kind="stable")
            self._linked = table[order, 1:]
            counts = np.bincount(table[:, 0], minlength=self._known)
            self._starts = np.concatenate([[0], np.cumsum(counts)])

    def _place(self, code: int) -> None:
        """Find out what a new series is, and link it with those of its sensor."""
        key = self._series[code]
        is_input = self._is_input(key)
        if not is_input and key.quantity not in self._partner_quantities(key.sensor):
            return
        qualifiers = qualifiers_mapping(key.qualifiers)
        if any(name in qualifiers for name in METHOD_QUALIFIERS):
            return
        if is_input and qualifiers.get(_CHANNEL, "a") == "a":
            unit = len(self._own)
            self._own.append(code)
            if not self._wanted(key.sensor):
                return
            self._units_of.setdefault(key.sensor, []).append(unit)
            self._pairs.append((code, unit, OWN))
            for partner in self._partners_of.get(key.sensor, ()):
                self._link(unit, key, partner)
        else:
            self._partners_of.setdefault(key.sensor, []).append(code)
            for unit in self._units_of.get(key.sensor, ()):
                self._link(unit, self._series[self._own[unit]], code)

    def _partner_quantities(self, sensor: str) -> tuple[str, ...]:
        return ("humidity" if self._humidity else "", self._proof(sensor))

    def _link(self, unit: int, own: SeriesKey, partner: int) -> None:
        other = self._series[partner]
        mine, theirs = qualifiers_mapping(own.qualifiers), qualifiers_mapping(other.qualifiers)
        if other.quantity == own.quantity:
            if _CHANNEL in mine and theirs == {**mine, _CHANNEL: "b"}:
                self._pairs.append((partner, unit, TWIN))
        elif other.quantity == "humidity" and theirs.items() <= mine.items():
            self._pairs.append((partner, unit, HUMIDITY))
        elif other.quantity == self._proof(own.sensor) and theirs == mine:
            self._pairs.append((partner, unit, PROOF))

    def _needs(self, own: SeriesKey) -> tuple[bool, bool, bool, bool]:
        has_channels = _CHANNEL in qualifiers_mapping(own.qualifiers)
        return True, has_channels, self._humidity, bool(self._proof(own.sensor))
