# SPDX-License-Identifier: EUPL-1.2
"""A city that changes its time zone: no two days, months or years of a series ever overlap."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lamppost.batch import DAY, FIXED, MONTH, AggregateBatch, JudgedBatch, ReadingBatch
from lamppost.flags import GOOD, MISSING
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import DAY_NS, HOUR_NS, parse_instant
from lamppost.zones import CityCalendar
from processors.windows.event_time import EventTimeSettings, EventTimeWindows

BEGIN = parse_instant("2026-09-20T00:00:00Z")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Pacific/Pago_Pago")
HORIZON_DAYS = 8


def windows(zone: str, **changes: object) -> EventTimeWindows:
    """Return windows of two series in a zone."""
    settings: Mapping[str, Any] = {
        "lengths": ["1h"],
        "calendar": ["day", "month", "year"],
        "correction_horizon_s": HORIZON_DAYS * 86_400,
        **changes,
    }
    series = SeriesTable(SeriesKey(sensor, "pm2_5") for sensor in ("a", "b"))
    return EventTimeWindows(
        EventTimeSettings.model_validate(settings), series, city=CityCalendar(zone)
    )


def judged(hours: Sequence[int], series: int, received: int, value: float = 1.0) -> JudgedBatch:
    """Return one reading in each of some hours."""
    size = len(hours)
    readings = ReadingBatch(
        series=np.full(size, series, np.int32),
        time=BEGIN + np.array(hours, np.int64) * HOUR_NS,
        received=np.full(size, BEGIN + received * HOUR_NS),
        value=np.full(size, value),
        flag=np.full(size, GOOD, np.uint8),
        reasons=np.zeros(size, np.uint32),
    )
    return JudgedBatch.unscored(readings)


class City:
    """A city whose readings come hour by hour, and whose policy says which zone it is in."""

    def __init__(self, zone: str, **changes: object) -> None:
        """Start without readings."""
        self.changes = changes
        self.made = windows(zone, **changes)
        self.said: list[AggregateBatch] = []
        self.sent: tuple[set[int], set[int]] = (set(), set())
        self.hour = 0

    def live(self, hours: int, silent: int = -1) -> None:
        """Let hours pass, in which all series but a silent one are measured."""
        for series in {0, 1} - {silent}:
            self.tell(range(self.hour, self.hour + hours), series, self.hour + hours)
        self.hour += hours
        self.said.append(self.made.advance(BEGIN + self.hour * HOUR_NS))

    def tell(self, hours: Sequence[int], series: int, received: int) -> None:
        """Take in the readings of some hours."""
        self.made.add(judged(hours, series, received))
        self.sent[series].update(hours)

    def move(self, zone: str) -> None:
        """Change the zone."""
        after = windows(zone, **self.changes)
        self.said.append(after.adopt(self.made))
        self.made = after

    def restart(self) -> None:
        """Go on from a snapshot."""
        again = windows(self.made._roll_ups.city.name, **self.changes)  # type: ignore[union-attr]  # there are days
        again.restore(self.made.snapshot())
        self.made = again

    def counts(self, calendar: int) -> dict[int, list[tuple[int, int, int]]]:
        """Return start, end and count of the windows that count, by series, in hours."""
        newest: dict[tuple[int, int, int], tuple[int, int, bool]] = {}
        for batch in self.said:
            for row in np.flatnonzero(batch.calendar == calendar).tolist():
                key = int(batch.series[row]), int(batch.start[row]), int(batch.length[row])
                said = int(batch.revision[row]), int(batch.count[row]), bool(batch.withdrawn[row])
                assert said[0] > newest.get(key, (-1, 0, False))[0], "revisions rise"
                newest[key] = said
        found: dict[int, list[tuple[int, int, int]]] = {0: [], 1: []}
        for (series, start, length), (_, count, withdrawn) in sorted(newest.items()):
            if not withdrawn:
                begin = (start - BEGIN) // HOUR_NS
                found[series].append((begin, begin + length // HOUR_NS, count))
        return found

    def assert_sound(self) -> None:
        """No two windows overlap, and each holds exactly the readings of its time."""
        for calendar in (DAY, MONTH):
            for series, found in self.counts(calendar).items():
                for (_, end, _), (start, _, _) in itertools.pairwise(found):
                    assert end <= start
                for start, end, count in found:
                    assert count == sum(start <= hour < end for hour in self.sent[series])


def calendar_of(city: City) -> CityCalendar:
    """Return the calendar a city has come to."""
    found = city.made._roll_ups.city
    assert found is not None
    return found


@settings(deadline=None, max_examples=40)
@example(
    first="UTC",
    steps=[(700, "Pacific/Pago_Pago", 1, False), (467, "Pacific/Auckland", 1, False)],
    late=114,
)
@given(
    first=st.sampled_from(ZONES),
    steps=st.lists(
        st.tuples(
            st.integers(1, 20 * 24),
            st.sampled_from(ZONES),
            st.sampled_from((-1, -1, 0, 1)),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    ),
    late=st.integers(1, HORIZON_DAYS * 24 - 1),
)
def test_days_and_months_never_overlap_and_hold_what_was_measured(
    first: str, steps: list[tuple[int, str, int, bool]], late: int
) -> None:
    """Wherever the city moves, and however often, with silence, late readings and restarts."""
    city = City(first)
    for hours, zone, silent, again in steps:
        city.live(hours, silent)
        city.move(zone)
        if again:
            city.restart()
        city.live(1)
        city.tell([max(city.hour - late, 0)], 0, city.hour)
    city.live(24 * 70)

    city.assert_sound()
    for series, found in city.counts(DAY).items():
        days = [hour for start, end, _ in found for hour in range(start, end)]
        assert {hour for hour in city.sent[series] if hour < city.hour - 72} <= set(days)


def test_days_within_the_horizon_are_made_anew_and_those_before_stay() -> None:
    """The date between them is longer, and every date is there once."""
    city = City("UTC")
    city.live(24 * 20)
    before = city.counts(DAY)[0]
    city.move("America/New_York")

    city.live(24)

    found = city.counts(DAY)[0]
    kept = 24 * (20 - HORIZON_DAYS)
    assert [day for day in found if day[1] <= kept] == [day for day in before if day[1] <= kept]
    assert [day[:2] for day in found if day[1] > kept][:2] == [
        (kept, kept + 28),
        (kept + 28, kept + 52),
    ]
    assert len(found) == 20


def test_a_day_that_is_taken_back_says_so() -> None:
    """As a revision that counts nothing, under which it is found again."""
    city = City("UTC")
    city.live(24 * 3)
    after = windows("Europe/Berlin")

    gone = after.adopt(city.made)

    assert gone.withdrawn.all()
    assert set(gone.calendar.tolist()) == {DAY}
    assert set(gone.revision.tolist()) == {1}
    assert set(gone.flag.tolist()) == {MISSING}
    assert np.isnan(gone.mean).all()
    assert sorted(set(((gone.start - BEGIN) // DAY_NS).tolist())) == [0, 1]


def test_a_city_that_was_wrong_from_its_first_day_has_no_seam() -> None:
    """What was published before is all within the horizon."""
    city = City("UTC")
    city.live(24 * 3)
    city.move("Europe/Berlin")
    city.live(24)

    assert city.made._roll_ups.city == CityCalendar("Europe/Berlin")
    assert city.counts(DAY)[0][0][:2] == (-2, 22)


@pytest.mark.parametrize(("zone", "later"), [("Europe/Berlin", -2), ("America/New_York", 4)])
def test_a_month_that_began_before_the_horizon_is_no_reason_for_a_seam(
    zone: str, later: int
) -> None:
    """What was measured in it is all younger, so it can be made anew as a whole."""
    city = City("UTC")
    city.hour = 24 * 8
    city.live(24 * 5)
    assert city.counts(MONTH)[0] == [(-24 * 19, 24 * 11, 24 * 3)]

    city.move(zone)
    city.live(24)

    assert calendar_of(city) == CityCalendar(zone)
    assert city.counts(MONTH)[0] == [(-24 * 19 + later, 24 * 11 + later, 24 * 3 + later)]
    city.assert_sound()


def test_a_series_long_silent_never_has_overlapping_days() -> None:
    """What another one can no longer have corrected keeps the former zone, for both."""
    city = City("UTC")
    city.live(24 * 5, silent=1)
    city.hour = 24 * 75
    city.live(24 * 5, silent=0)
    city.move("Europe/Berlin")
    city.made.add(judged([71], 0, city.hour, 2.0))
    city.live(1, silent=0)

    city.assert_sound()


@pytest.mark.parametrize("again", [False, True])
def test_days_that_nobody_holds_any_more_still_have_their_zone(*, again: bool) -> None:
    """A calendar has every date once, also of what was let go; another change keeps the first."""
    city = City("UTC", calendar=["day"])
    city.live(24 * 5)
    city.hour = 24 * 45
    city.live(24 * 3)
    city.hour = 24 * 60
    city.live(24 * 2)
    if again:
        city.restart()

    for zone in ("Europe/Berlin", "America/New_York"):
        city.move(zone)
        if again:
            city.restart()
        city.live(24)

    assert [zone for zone, _ in calendar_of(city).former] == ["UTC", "Europe/Berlin"]
    city.assert_sound()


def test_a_snapshot_without_the_first_hour_goes_by_the_windows_that_are_held() -> None:
    """Versions before did not remember it."""
    city, young = City("UTC"), City("UTC")
    city.live(24 * 20)
    young.live(24 * 3)

    for each in (city, young):
        snapshot = each.made.snapshot()
        del snapshot["roll_ups/first"]
        each.made = windows("UTC")
        each.made.restore(snapshot)
        each.move("Europe/Berlin")

    assert [zone for zone, _ in calendar_of(city).former] == ["UTC"]
    assert calendar_of(young) == CityCalendar("Europe/Berlin")


@pytest.mark.parametrize("zone", ["Europe/London", "UTC"])
def test_days_that_stay_the_same_are_not_said_again(zone: str) -> None:
    """In winter London's days are those of UTC."""
    city = City("UTC")
    city.hour = 24 * 60
    city.live(24 * 5)
    city.move(zone)
    said = len(city.said)
    city.live(1)

    assert not any((batch.calendar != FIXED).any() for batch in city.said[said - 1 :])


def test_moving_there_and_back_ends_where_it_began() -> None:
    """The days that were taken back count again, under their next revisions."""
    city, stayed = City("UTC"), City("UTC")
    for each in (city, stayed):
        each.live(24 * 20)
    city.move("Europe/Berlin")
    city.live(1)
    city.move("UTC")
    city.live(1)
    stayed.live(2)

    assert city.counts(DAY) == stayed.counts(DAY)
    assert city.made._roll_ups.city == CityCalendar("UTC")


def test_a_city_whose_days_come_to_begin_at_half_past_keeps_the_revisions_of_its_quarters() -> None:
    """Its days are made of quarters from now on, of which only revisions were kept before."""
    before, after = (windows(zone, lengths=["15min", "1h"]) for zone in ("UTC", "Asia/Kolkata"))
    before.add(judged(range(72), 0, 72))
    said = [before.advance(BEGIN + 72 * HOUR_NS)]
    before.add(judged([40], 0, 73, 2.0))
    said.append(before.advance(BEGIN + 73 * HOUR_NS))

    said.append(after.adopt(before))
    after.add(judged([40], 0, 74, 3.0))
    said.append(after.advance(BEGIN + 74 * HOUR_NS))

    quarter = [
        (revision, mean)
        for batch in said
        for start, length, revision, mean in zip(
            batch.start, batch.length, batch.revision, batch.mean, strict=True
        )
        if (start, length) == (BEGIN + 40 * HOUR_NS, HOUR_NS // 4)
    ]
    assert quarter == [(0, 1.0), (1, 2.0), (2, 3.0)]


def test_a_city_may_change_its_zone_before_its_first_reading() -> None:
    """As after a look at the first page: its days are those of the new zone."""
    city = City("Europe/Berlin")
    city.live(0)

    city.move("Pacific/Auckland")
    city.live(72)

    days = [batch.take(batch.calendar == DAY) for batch in city.said]
    assert np.unique(np.concatenate([batch.start for batch in days])).tolist() == [
        BEGIN + hour * HOUR_NS for hour in (-12, 12, 36)
    ]
