# SPDX-License-Identifier: EUPL-1.2
"""How windows from minutes to years hang together: revisions, policies, validity, statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from lamppost.batch import (
    AMENDED,
    CORRECTED,
    DAY,
    FIXED,
    MONTH,
    YEAR,
    AggregateBatch,
    JudgedBatch,
    ReadingBatch,
)
from lamppost.component import find
from lamppost.errors import ConfigError
from lamppost.flags import FAIL, GOOD, SUSPECT
from lamppost.periods import resolution_name
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, parse_instant
from lamppost.zones import CityCalendar
from processors.indices._hourly_index import RunningSettings
from processors.indices.us_aqi import UsAqi
from processors.windows.event_time import EventTimeSettings, EventTimeWindows

BERLIN = CityCalendar("Europe/Berlin")
BEGIN = parse_instant("2026-06-30T22:00:00Z")  # 1 July in Berlin
ALL: Mapping[str, Any] = {
    "lengths": ["1min", "15min", "1h", "24h"],
    "hopping": [{"length": "8h", "every": "1h"}],
    "calendar": ["day", "month", "year"],
}


def windows(
    quantities: Sequence[str] = ("pm2_5",), city: CityCalendar = BERLIN, **changes: object
) -> EventTimeWindows:
    """Return windows of one sensor."""
    series = SeriesTable(SeriesKey("s", quantity) for quantity in quantities)
    return EventTimeWindows(EventTimeSettings.model_validate({**ALL, **changes}), series, city=city)


def judged(
    values: Sequence[float],
    *,
    first: int = BEGIN,
    step: int = MINUTE_NS,
    series: int = 0,
    flag: int = GOOD,
    revision: int = 0,
) -> JudgedBatch:
    """Return readings one step apart, received when they were measured."""
    size = len(values)
    time = first + np.arange(size) * step
    zeros = np.zeros(size)
    readings = ReadingBatch(
        series=zeros + series,
        time=time,
        received=time,
        value=np.array(values, np.float64),
        flag=zeros + flag,
        reasons=zeros,
    )
    return JudgedBatch.unscored(readings, revision)


def named(batch: AggregateBatch) -> dict[tuple[str, int], dict[str, Any]]:
    """Return windows by resolution and start in hours from the beginning."""
    found = {}
    for row in range(len(batch)):
        fields = {name: getattr(batch, name)[row].item() for name in batch.dtypes()}
        name = resolution_name(fields["length"], fields["calendar"])
        found[name, (fields["start"] - BEGIN) // HOUR_NS] = fields
    return found


def test_a_late_reading_goes_up_to_the_year_and_into_the_index_in_one_step() -> None:
    """Every window it is part of is revised once, and so is every value of the index it changes."""
    made = windows()
    index = UsAqi(RunningSettings(), SeriesTable([SeriesKey("s", "pm2_5")]))
    index.look_back(made)
    made.add(judged([10.0] * 60 * 24 * 20))
    index.update(made.advance(BEGIN + 400 * DAY_NS))
    late = BEGIN + 5 * HOUR_NS + 30 * SECOND_NS
    made.add(judged([1000.0], first=late, revision=AMENDED))

    revised = made.advance(BEGIN + 400 * DAY_NS)
    values = index.update(revised)

    keys = set(named(revised))
    day = ("24h", (late // DAY_NS * DAY_NS - BEGIN) // HOUR_NS)
    year = ("year", (parse_instant("2025-12-31T23:00:00Z") - BEGIN) // HOUR_NS)
    assert keys == {
        ("1min", 5), ("15min", 5), ("1h", 5), day, ("day", 0), ("month", 0), year,
        *(("8h", hour) for hour in range(-2, 6)),
    }  # fmt: skip
    assert set(revised.revision.tolist()) == {1}
    assert set(revised.max.tolist()) == {1000.0}
    assert values.end.tolist() == [BEGIN + hour * HOUR_NS for hour in range(18, 30)]
    assert (values.revision > 0).all()


def test_a_corrected_reading_that_was_right_says_nothing_new() -> None:
    """Nor does a verdict that keeps it in."""
    made = windows()
    made.add(judged([10.0] * 600))
    made.advance(BEGIN + 400 * DAY_NS)
    made.add(judged([10.0] * 60, revision=CORRECTED))

    assert len(made.advance(BEGIN + 400 * DAY_NS)) == 0


def test_the_windows_of_a_month_of_hours() -> None:
    """The month of July in Berlin from its hours: its days, its length and its validity."""
    made = windows(default_period_s=3600)
    made.add(judged(list(range(744)), step=HOUR_NS))

    found = named(made.advance(BEGIN + 400 * DAY_NS))

    month = found["month", 0]
    assert (month["count"], month["length"]) == (744, 31 * DAY_NS)
    assert (month["first"], month["last"], month["mean"]) == (0, 743, 371.5)
    assert (month["coverage"], month["flag"], month["expected"]) == (1.0, GOOD, 744)
    assert [found["day", 24 * day]["count"] for day in range(31)] == [24] * 31
    assert found["8h", 0]["mean"] == 3.5
    assert found["8h", 1]["mean"] == 4.5
    year = next(row for (name, _), row in found.items() if name == "year")
    assert year["coverage"] == pytest.approx(744 / (365 * 24))
    assert year["flag"] == SUSPECT


def test_the_day_the_clocks_go_back_has_25_hours() -> None:
    """And is whole with 25 hourly readings."""
    begin = parse_instant("2026-10-24T22:00:00Z")
    made = windows(default_period_s=3600)
    made.add(judged([1.0] * 25, first=begin, step=HOUR_NS))

    days = made.advance(begin + 400 * DAY_NS)
    days = days.take(days.calendar == DAY)

    assert (days.start.tolist(), days.length.tolist()) == ([begin], [25 * HOUR_NS])
    assert (days.count.tolist(), days.coverage.tolist()) == ([25], [1.0])


def test_a_time_weighted_mean_holds_values_through_every_resolution() -> None:
    """Fifty spaces for 45 minutes and 90 for 15: 60, while the plain mean of readings is 70."""
    made = windows(("parking_occupied",), time_weighted=["parking_occupied"])
    made.add(judged([50.0] * 10, first=BEGIN - 10 * MINUTE_NS))
    made.add(judged([50.0], first=BEGIN))
    made.add(judged([90.0] * 15, first=BEGIN + 45 * MINUTE_NS))

    hour = named(made.advance(BEGIN + 400 * DAY_NS))["1h", 0]

    # The first value holds for no longer than twice the usual minute.
    assert hour["time_weighted"] == pytest.approx((50 * 2 + 90 * 15) / 17)
    assert hour["mean"] == pytest.approx((50 + 90 * 15) / 16)


@pytest.mark.vector("traffic flow", "Highway Capacity Manual: time-mean and space-mean speed")
def test_the_time_mean_of_speeds_is_above_their_space_mean() -> None:
    """Of 60, 40 and 30: 43.33 and 40.0."""
    made = windows(("speed",))
    made.add(judged([60.0, 40.0, 30.0]))

    hour = named(made.advance(BEGIN + 2 * HOUR_NS))["1h", 0]

    assert hour["mean"] == pytest.approx(43.33, abs=5e-3)
    assert hour["harmonic"] == pytest.approx(40.0)


@pytest.mark.parametrize("late", ["vehicle_count", "speed"])
def test_speeds_find_their_vehicles_whichever_comes_last(late: str) -> None:
    """A count that comes after its minute was published revises the speed."""
    made = windows(("speed", "vehicle_count"))
    parts = {"speed": judged([60.0, 20.0]), "vehicle_count": judged([3.0, 1.0], series=1)}
    first = next(name for name in parts if name != late)
    made.add(parts[first])
    before = named(made.advance(BEGIN + 2 * HOUR_NS)).get(("1h", 0), {})
    made.add(parts[late])

    revised = made.advance(BEGIN + 4 * HOUR_NS)
    hour = named(revised.take(revised.series == 0))["1h", 0]

    assert hour["volume_weighted"] == pytest.approx(50.0)
    assert hour["harmonic"] == pytest.approx(40.0)
    assert np.isnan(before["volume_weighted"]) or first != "speed"


def test_a_volume_beyond_all_sense_is_none() -> None:
    """It neither weighs nor warns."""
    made = windows(("speed", "vehicle_count"))
    made.add(judged([60.0, 20.0]))
    made.add(judged([1e308, 1.0], series=1))

    found = made.advance(BEGIN + 4 * HOUR_NS)
    hour = named(found.take(found.series == 0))["1h", 0]

    assert hour["volume_weighted"] == pytest.approx(20.0)


def test_a_vane_in_calm_air_has_no_direction() -> None:
    """And the wind speed that says so may be judged later."""
    made = windows(("wind_direction", "wind_speed"))
    made.add(judged([350.0, 10.0, 180.0]))
    made.add(judged([3.0, 3.0, 0.2], series=1))

    made.advance(BEGIN + 2 * HOUR_NS)
    made.add(judged([0.2], first=BEGIN + 2 * MINUTE_NS, series=1, flag=FAIL, revision=AMENDED))
    revised = made.advance(BEGIN + 2 * HOUR_NS)

    direction = named(revised.take(revised.series == 0))["1h", 0]
    assert direction["resultant"] < 0.4
    assert np.isnan(direction["q50"])
    assert np.isnan(direction["total"])


def test_minutes_have_no_quantiles_and_hours_have() -> None:
    """By default from an hour on."""
    made = windows()
    made.add(judged(list(range(60))))

    found = named(made.advance(BEGIN + 400 * DAY_NS))

    assert np.isnan(found["1min", 0]["q50"])
    for name in ("1h", "8h", "day", "month"):
        assert found[name, 0]["q50"] == pytest.approx(29.5, rel=0.01)


def test_quantiles_can_be_switched_off() -> None:
    """Then no window has any, and no sketch is kept."""
    made = windows(quantiles_from=None)
    made.add(judged(list(range(60))))

    assert np.isnan(made.advance(BEGIN + 400 * DAY_NS).q50).all()


@pytest.mark.parametrize("tick", ["ticked", "not ticked"])
def test_a_period_that_is_switched_on_begins_with_the_window_under_way(tick: str) -> None:
    """What it is made of is still held; what stays goes on with its revisions."""
    before = windows(hopping=[], calendar=["month"])
    before.add(judged(list(range(600))))
    if tick == "ticked":
        before.advance(BEGIN + 10 * HOUR_NS)
    after = windows(quantiles_from="15min")
    after.adopt(before)
    after.add(judged(list(range(600, 1440)), first=BEGIN + 600 * MINUTE_NS))

    found = named(after.advance(BEGIN + 400 * DAY_NS))

    for name in ("day", "month"):
        assert (found[name, 0]["count"], found[name, 0]["revision"]) == (1440, 0)
        assert found[name, 0]["q50"] == pytest.approx(719, rel=0.01)
    assert found["8h", 3]["count"] == 480


@pytest.mark.parametrize("former", ["never on", "on before"])
def test_quantiles_switched_on_are_of_all_readings_of_a_window(former: str) -> None:
    """Those of the windows under way come from what is held, not from what came since."""
    before, hour = windows(quantiles_from=None), 60
    if former == "on before":
        kept = windows()
        kept.add(judged(range(10 * hour)))
        kept.advance(BEGIN + 10 * HOUR_NS)
        before.adopt(kept)
        before.add(judged(range(10 * hour, 34 * hour), first=BEGIN + 10 * HOUR_NS))
    else:
        before.add(judged(range(34 * hour)))
    before.advance(BEGIN + 34 * HOUR_NS)
    after = windows()
    after.adopt(before)
    after.add(judged(range(34 * hour, 48 * hour), first=BEGIN + 34 * HOUR_NS))

    found = named(after.advance(BEGIN + 400 * DAY_NS))

    for name, start, middle in (("8h", 28, 1919.5), ("day", 24, 2159.5), ("month", 0, 1439.5)):
        assert found[name, start]["q50"] == pytest.approx(middle, rel=0.01)


def test_where_not_all_readings_are_held_any_more_no_quantile_is_said() -> None:
    """A month's mean is of all its readings; its median would be of the last days only."""
    horizon: dict[str, Any] = {"correction_horizon_s": 3600.0, "lengths": ["15min", "1h"]}
    before = windows(quantiles_from=None, **horizon)
    for day in range(20):
        before.add(judged(range(96), first=BEGIN + day * DAY_NS, step=15 * MINUTE_NS))
        before.advance(BEGIN + (day + 1) * DAY_NS)
    after = windows(**horizon)
    after.adopt(before)
    after.add(judged(range(96), first=BEGIN + 20 * DAY_NS, step=15 * MINUTE_NS))

    found = named(after.advance(BEGIN + 400 * DAY_NS))

    assert found["day", 480]["q50"] == pytest.approx(47.5, rel=0.01)
    assert found["month", 0]["count"] == 21 * 96
    assert np.isnan(found["month", 0]["q50"])


def test_another_zone_makes_other_days() -> None:
    """The days of the new zone hold what is held of them."""
    before = windows()
    before.add(judged([1.0] * 600))
    before.advance(BEGIN + 10 * HOUR_NS)
    after = windows(city=CityCalendar("UTC"))
    after.adopt(before)

    days = after.advance(BEGIN + 400 * DAY_NS)
    days = days.take(days.calendar == DAY)

    june, july = parse_instant("2026-06-30T00:00:00Z"), parse_instant("2026-07-01T00:00:00Z")
    assert days.start.tolist() == [june, july]
    assert days.count.tolist() == [120, 480]


def test_days_need_a_length_that_makes_them() -> None:
    """In Kathmandu a day begins at a quarter past the hour of UTC."""
    with pytest.raises(ConfigError, match=r"Kathmandu.*15min.*no length"):
        windows(city=CityCalendar("Asia/Kathmandu"), lengths=["1h"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lengths": ["2h"]}, "no longer than an hour"),
        ({"lengths": ["7min", "15min"]}, "multiple of the one before"),
        ({"hopping": [{"length": "8h", "every": "3h"}]}, "8h every 3h cannot be made"),
        ({"hopping": [{"length": "30min", "every": "15min"}]}, "cannot be made"),
        ({"hopping": [{"length": "24h", "every": "1h"}]}, "stands twice"),
        ({"calendar": ["week"]}, "day"),
        ({"valid_hours": {"9h": 0.5}}, "valid_hours names no period: 9h"),
        ({"valid_hours": {"8h": 1.5}}, "less than or equal to 1"),
        ({"quantiles_from": "soon"}, "not a length"),
        ({"time_weighted": ["speed"]}, "mean of its own"),
        ({"time_weighted": ["parking"]}, "did you mean parking_occupied"),
        ({"include": ["fine"]}, "unknown flags"),
    ],
)
def test_a_wrong_policy_is_refused_in_words(changes: dict[str, Any], problem: str) -> None:
    """What is wrong is in the message."""
    with pytest.raises(ValidationError, match=problem):
        EventTimeSettings.model_validate({**ALL, **changes})


def test_windows_are_told_apart_by_calendar() -> None:
    """A day of 24 hours in the city is not the 24 hours of UTC, and both go out."""
    made = windows(city=CityCalendar("UTC"))
    made.add(judged([1.0] * 60))

    found = made.advance(BEGIN + 400 * DAY_NS)
    days = found.take(found.length == DAY_NS)

    assert sorted(days.calendar.tolist()) == [FIXED, DAY]
    assert set(days.start.tolist()) == {parse_instant("2026-06-30T00:00:00Z")}
    assert {MONTH, YEAR} <= set(found.calendar.tolist())


def test_a_failed_reading_leaves_every_window_it_was_in() -> None:
    """The detector speaks a minute later; the year that was published says one reading less."""
    made = windows()
    made.add(judged([10.0, 900.0, 10.0]))
    made.advance(BEGIN + 400 * DAY_NS)
    made.add(judged([900.0], first=BEGIN + MINUTE_NS, flag=FAIL, revision=AMENDED))

    found = named(made.advance(BEGIN + 400 * DAY_NS))

    assert {row["excluded"] for row in found.values()} == {1}
    assert found["month", 0]["max"] == 10.0
    assert found["month", 0]["q95"] == pytest.approx(10.0)


@pytest.mark.parametrize("name", ["allowed_lateness_s", "correction_horizon_s"])
def test_times_longer_than_instants_hold_are_refused(name: str) -> None:
    """Before the engine meets them: "for ever" has to be a number of seconds that fits."""
    component = find("aggregator", "event_time", "windows.event_time")

    with pytest.raises(ConfigError, match="less than or equal to 1000000000"):
        component.parse({name: 1e10}, "windows.event_time")
