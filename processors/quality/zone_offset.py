# SPDX-License-Identifier: EUPL-1.2
"""Zone offset: a clock that is whole hours wrong, as when local time is sent as UTC."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Rows, Scope, Verdict, register, restore_each, snapshot_of
from lamppost.explained import QuantitySettings
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.stations import Station
from lamppost.times import DAY_NS, HOUR_NS
from lamppost.wording import by_quantity, digits, percent
from processors._per_series import QuantityName

from ._chosen import Chosen
from ._concern import Where
from ._runs import chosen_rows
from ._stretches import Stretches
from ._verdicts import answer, unsaid

ZONE_OFFSET: Final = Reason(
    18,
    "zone_offset",
    "The device's clock seems whole hours wrong: its day runs ahead of or behind the city's.",
    "cross-correlation with the stations around; local time sent as UTC is common",
)

_DAYS: Final = 7
_HOURS: Final = 24 * _DAYS
_RING: Final = 240  # hours kept of each series: the week compared, the largest lag, and a spare day
_LAGS: Final = np.arange(-12, 13)
_NEVER: Final = -(2**40)
_LARGEST: Final = 1e30
_M_PER_DEGREE: Final = 111_195.0


class ZoneOffsetSettings(QuantitySettings):
    """Which quantities have a day the whole city shares, and what is proof."""

    quantities: dict[QuantityName, int] = Field(
        default_factory=dict,
        description="By quantity, the smallest offset that is believed, whole hours.",
    )
    min_series: int = Field(
        default=4, ge=3, description="Series of the quantity needed to know the city's day."
    )
    min_correlation: float = Field(
        default=0.8, gt=0, le=1, description="Correlation needed at the best offset."
    )
    max_unexplained: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="What the best offset may leave unexplained, as a share of what none leaves.",
    )
    district_m: float = Field(
        default=20_000.0,
        gt=0,
        description="Side of the squares whose stations are compared with each other, metres.",
    )
    min_hours: int = Field(
        default=96, ge=24, le=_HOURS, description="Hours of the last week both must have."
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        yield from super().doubts()
        for name, least in self.quantities.items():
            if not 1 <= least <= _LAGS[-1]:
                yield f"quantities.{name}", f"must be from 1 to {_LAGS[-1]} hours"


@register("check")
class ZoneOffset:
    """Flags readings of devices whose clock is whole hours wrong.

    Once a day, the hourly means of each series' last week are correlated with the median of those
    in the same square of ``district_m`` at lags of -12 to 12 hours; for hours that fewer than
    ``min_series`` have there, with the median of the whole city. The clock is taken to be wrong
    when the best lag is at least the quantity's hours away from 0, its correlation ``r`` reaches
    ``min_correlation``, ``1 - r^2 <= max_unexplained (1 - r0^2)``, and the day before said the
    same; readings are suspect from then on, until a day says otherwise. The day's comparison uses
    what had arrived when the first reading of the new day did.

    Known failures: a wall in the morning sun is an hour or two ahead of the city, so temperature
    should ask for three; when most devices are wrong alike, the right ones are called wrong; clocks
    that are ahead never come this far, as readings from the future get the time of receipt.
    """

    name: ClassVar[str] = "zone_offset"
    reasons: ClassVar[tuple[Reason, ...]] = (ZONE_OFFSET,)
    scope: ClassVar[Scope] = "city"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[ZoneOffsetSettings]] = ZoneOffsetSettings

    @classmethod
    def describe(cls, settings: ZoneOffsetSettings) -> str:
        """Say what proves that a clock is whole hours wrong."""
        hours = by_quantity(settings.given(), lambda least, _: f"from {least} h on")
        return (
            f"Readings of a device are suspect while its clock seems whole hours wrong ({hours}):"
            f" while at another hour its last week, with at least {settings.min_hours} h of both,"
            f" correlates with that of {settings.min_series} or more series in a square of"
            f" {digits(settings.district_m / 1000)} km by {digits(settings.min_correlation)} or"
            f" more and leaves at most {percent(settings.max_unexplained)} of what is unexplained"
            " otherwise, on two days in a row."
        )

    def __init__(
        self, settings: ZoneOffsetSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Prepare an empty week for each series judged."""
        self._settings = settings
        self._stations = stations
        self._quantities = sorted(settings.quantities)
        self._place = {name: place for place, name in enumerate(self._quantities)}
        self._chosen = Chosen(series, self._quantities)
        self._quantity = np.empty(0, np.int64)
        self._state = SeriesState(
            hour=np.int64(_NEVER),
            total=np.float64(0),
            count=np.int64(0),
            mean=np.full(_RING, np.nan, np.float32),
            seen=np.int8(0),
            offset=np.int8(0),
        )
        self._day = SeriesState(day=np.int64(_NEVER))
        self._day.grow(len(self._quantities))

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return key.quantity in self._place

    def judge(self, rows: Rows) -> Verdict:
        """Take the readings in, and compare whenever a quantity enters a new day."""
        self._state.grow(len(self._chosen))
        chosen, seen = self._chosen.rows(rows)
        # Sums of larger numbers could not be told from infinity.
        usable = seen.usable & (np.abs(seen.value) < _LARGEST)
        offset, known = np.zeros((2, len(seen)), np.bool_)
        for where, part in self._between_days(*chosen_rows(seen, usable)):
            self._take_in(part)
            if self._state["offset"].any():
                offset[where] = self._state["offset"][part.groups.series] != 0
            known[where] = True
        flag, reasons = unsaid(rows.missing)
        flag[chosen], reasons[chosen] = answer(
            seen.missing, reason=ZONE_OFFSET, evaluated=known, suspect=offset
        )
        return Verdict(flag, reasons)

    def _between_days(self, where: Where, rows: Rows) -> Iterator[tuple[Where, Rows]]:
        """Yield rows up to the next one that opens a day for its quantity, and compare there."""
        if not len(rows):
            return
        self._note_quantities()
        quantity = self._quantity.take(rows.groups.series)
        present = np.flatnonzero(np.bincount(quantity))
        if int(rows.time.max()) // DAY_NS <= self._day["day"][present].min():
            yield where, rows
            return
        arrival, day = rows.groups.order, rows.time // DAY_NS
        opens: list[tuple[int, int, int]] = []
        for place in present.tolist():
            mine = np.flatnonzero(quantity == place)
            mine = mine[np.argsort(arrival[mine])]
            newest = np.maximum.accumulate(np.append(self._day["day"][place], day[mine]))
            opens += [
                (int(arrival[mine[new]]), place, int(newest[new + 1]))
                for new in np.flatnonzero(newest[1:] > newest[:-1]).tolist()
            ]
        start = -1
        all_where = np.arange(len(rows)) if isinstance(where, slice) else where
        for at, place, new_day in [*sorted(opens), (int(arrival.max()) + 1, -1, 0)]:
            part = np.flatnonzero((arrival >= start) & (arrival < at))
            if len(part):
                yield all_where[part], rows.take(part)
            if place >= 0:
                self._compare(place, new_day)
                self._day["day"][place] = new_day
            start = at

    def _note_quantities(self) -> None:
        """Note the quantity of each series that is new."""
        added = [self._place[key.quantity] for key in self._chosen.keys(len(self._quantity))]
        if added:
            self._quantity = np.append(self._quantity, np.array(added, np.int64))

    def _take_in(self, rows: Rows) -> None:
        """Add readings to the hour they belong to; hours that are over become means."""
        state, number = self._state, rows.groups.series.astype(np.intp)
        stretches = Stretches.of(rows.groups, _hours(rows.time))
        for opened, inside in stretches.turns():
            one, hour = number[stretches.first[opened]], stretches.bucket[opened]
            over = np.flatnonzero(state["hour"][one] != hour)
            if len(over):
                self._close(one[over], hour[over])
            np.add.at(state["total"], number[inside], rows.value[inside])
            np.add.at(state["count"], number[inside], 1)

    def _close(self, number: Int64Array, hour: Int64Array) -> None:
        state = self._state
        former, count = state["hour"][number], state["count"][number]
        # What the ring still holds of hours that passed without a reading is from ten days ago.
        passed = np.minimum(hour - np.where(former == _NEVER, hour - _RING, former), _RING)
        for step in range(int(passed.max(initial=0))):
            some = passed > step
            state["mean"][number[some], (hour[some] - step) % _RING] = np.nan
        full = np.flatnonzero((count > 0) & (hour - former < _RING))
        mean = state["total"][number[full]] / count[full]
        state["mean"][number[full], former[full] % _RING] = mean
        state["hour"][number], state["total"][number], state["count"][number] = hour, 0.0, 0

    def _compare(self, quantity: int, day: int) -> None:
        """Find the offset of each series of a quantity against those around it."""
        mine = np.flatnonzero(self._quantity == quantity)
        widest = int(np.abs(_LAGS).max())
        hours = np.arange(24 * day - _HOURS - widest, 24 * day + widest)
        week = self._state["mean"][mine][:, hours % _RING].astype(np.float64)
        # An hour a series has not reached, or left more than a ring ago, is not in its ring.
        reached = self._state["hour"][mine][:, None]
        week[(hours >= reached) | (hours <= reached - _RING)] = np.nan
        correlations = np.full((len(_LAGS), len(mine)), -1.0)
        city = self._median(week)
        for district in self._districts(mine):
            around = self._median(week[district])
            around = np.where(np.isnan(around), city, around)
            own = week[district, widest : widest + _HOURS]
            for row, lag in enumerate(_LAGS + widest):
                correlations[row, district] = self._correlation(own, around[lag : lag + _HOURS])
        best = np.argmax(correlations, axis=0)
        place = np.arange(len(mine))
        r_best, r_none = correlations[best, place], correlations[widest, place]
        smallest = self._settings.quantities[self._quantities[quantity]]
        wrong = (
            (np.abs(_LAGS[best]) >= smallest)
            & (r_best >= self._settings.min_correlation)
            & (1 - r_best**2 <= self._settings.max_unexplained * (1 - np.maximum(r_none, 0) ** 2))
        )
        seen = np.where(wrong, _LAGS[best], 0).astype(np.int8)
        self._state["offset"][mine] = np.where(seen == self._state["seen"][mine], seen, 0)
        self._state["seen"][mine] = seen

    def _median(self, week: FloatArray) -> FloatArray:
        """Return the median of each hour, NaN where too few series have it."""
        enough = (~np.isnan(week)).sum(axis=0) >= self._settings.min_series
        found = np.full(week.shape[1], np.nan)
        found[enough] = np.nanmedian(week[:, enough], axis=0)
        return found

    def _districts(self, number: Int64Array) -> list[Int64Array]:
        """Return which of some series stand in one square; those without a place are one, too."""
        keys = self._chosen.keys(0)
        squares: dict[tuple[int, int] | None, list[int]] = {}
        for place, one in enumerate(number.tolist()):
            station = self._stations.get(keys[one].sensor)
            square = None if station is None else self._square(station)
            squares.setdefault(square, []).append(place)
        return [np.array(places) for places in squares.values()]

    def _square(self, station: Station) -> tuple[int, int]:
        """Return the square a station stands in: rows from the equator, columns from Greenwich."""
        row = math.floor(station.latitude * _M_PER_DEGREE / self._settings.district_m)
        latitude = math.radians((row + 0.5) * self._settings.district_m / _M_PER_DEGREE)
        east_m = station.longitude * _M_PER_DEGREE * math.cos(latitude)
        return row, math.floor(east_m / self._settings.district_m)

    def _correlation(self, own: FloatArray, city: FloatArray) -> FloatArray:
        """Return Pearson's correlation of each row with the city, -1 where too little is known."""
        known = ~np.isnan(own) & ~np.isnan(city)
        count = known.sum(axis=1)
        mine, theirs = np.where(known, own, 0.0), np.where(known, city, 0.0)
        with np.errstate(all="ignore"):
            mine = np.where(known, mine - (mine.sum(axis=1) / count)[:, None], 0.0)
            theirs = np.where(known, theirs - (theirs.sum(axis=1) / count)[:, None], 0.0)
            r = (mine * theirs).sum(axis=1) / np.sqrt(
                (mine**2).sum(axis=1) * (theirs**2).sum(axis=1)
            )
        good = (count >= self._settings.min_hours) & np.isfinite(r)
        return np.where(good, np.minimum(r, 1.0), -1.0)

    def snapshot(self) -> Snapshot:
        """Return the last days of each series, and what was found."""
        return snapshot_of(self._parts())

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the last days of each series, and what was found."""
        restore_each(self._parts(), snapshot)

    def _parts(self) -> dict[str, SeriesState]:
        return {"series": self._state, "quantities": self._day}


def _hours(time: Int64Array) -> Int64Array:
    """Return the hour of each instant; mostly it is the same, and a division takes its time."""
    first = int(time.min()) // HOUR_NS
    if int(time.max()) // HOUR_NS == first:
        return np.full(len(time), first)
    return time // HOUR_NS
