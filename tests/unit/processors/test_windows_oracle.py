# SPDX-License-Identifier: EUPL-1.2
"""Every period and every statistic against a recomputation, reading by reading, with datetime."""

from __future__ import annotations

import cmath
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from lamppost.flags import FAIL, GOOD, SUSPECT
from lamppost.frames import arrow_bytes
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, parse_instant
from lamppost.zones import CityCalendar
from processors.windows import _sketch as sketch
from processors.windows.event_time import EventTimeSettings, EventTimeWindows

BERLIN, KATHMANDU = "Europe/Berlin", "Asia/Kathmandu"
# Before the clocks go forward, before they go back, before a leap day, before a new year.
BEGINS = [
    parse_instant(text)
    for text in (
        "2026-03-28T12:00:00Z",
        "2026-10-24T12:00:00Z",
        "2028-02-28T12:00:00Z",
        "2027-12-30T12:00:00Z",
    )
]
QUANTITIES = ("pm2_5", "wind_direction", "wind_speed", "speed", "vehicle_count", "flow",
              "vehicle_count_total", "parking_occupied")  # fmt: skip
SETTINGS = EventTimeSettings.model_validate(
    {
        "lengths": ["1min", "15min", "1h", "24h"],
        "hopping": [{"length": "8h", "every": "1h"}, {"length": "12h", "every": "4h"}],
        "calendar": ["day", "month", "year"],
        "quantiles_from": "15min",
        "time_weighted": ["parking_occupied"],
    }
)
DEFAULT_NS, WEEK_NS = 60 * SECOND_NS, 7 * DAY_NS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reading(NamedTuple):
    """One reading: series, instant, value, flag."""

    series: int
    time: int
    value: float
    flag: int


class Window(NamedTuple):
    """The key of a window."""

    series: int
    start: int
    length: int
    calendar: int


@st.composite
def streams(draw: st.DrawFn) -> list[Reading]:
    """Draw readings of a few days around a change, in any order, with doubles and corrections."""
    begin = draw(st.sampled_from(BEGINS))
    spread = draw(st.sampled_from([3, 60, 60 * 24, 60 * 24 * 4, 60 * 24 * 20]))
    row = st.tuples(
        st.integers(0, len(QUANTITIES) - 1),
        st.integers(0, spread),
        st.sampled_from([0, 0, 0, 30, 59]),
        st.integers(0, 400) | st.sampled_from([65_500, 65_530]),
        st.sampled_from([GOOD, GOOD, GOOD, SUSPECT, FAIL]),
    )
    return [
        Reading(series, begin + minute * MINUTE_NS + second * SECOND_NS, float(value), flag)
        for series, minute, second, value, flag in draw(st.lists(row, max_size=60))
    ]


def table() -> SeriesTable:
    """Return one sensor's series of all quantities."""
    return SeriesTable(SeriesKey("s", quantity) for quantity in QUANTITIES)


def judged(readings: Sequence[Reading], revision: int = 0) -> JudgedBatch:
    """Return readings as they come from quality and detection."""
    columns = [np.array(column) for column in zip(*readings, strict=True)] or [np.empty(0)] * 4
    time = columns[1].astype(np.int64)
    return JudgedBatch.unscored(
        ReadingBatch(
            series=columns[0].astype(np.int32),
            time=time,
            received=np.full(len(time), BEGINS[-1]),
            value=columns[2].astype(np.float64),
            flag=columns[3].astype(np.uint8),
            reasons=np.zeros(len(time), np.uint32),
        ),
        revision,
    )


def run(
    readings: Sequence[Reading], cuts: Sequence[int], ticks: Sequence[int], zone: str = BERLIN
) -> list[AggregateBatch]:
    """Feed readings cut at some places, with ticks after some of the parts."""
    windows = EventTimeWindows(SETTINGS, table(), city=CityCalendar(zone))
    batches = []
    edges = sorted({0, len(readings), *(cut % (len(readings) + 1) for cut in cuts)})
    for number, (begin, end) in enumerate(itertools.pairwise(edges)):
        windows.add(judged(readings[begin:end]))
        if number in ticks:
            batches.append(windows.advance(BEGINS[-1] + number * DAY_NS))
    batches.append(windows.advance(BEGINS[-1] + 800 * DAY_NS))
    return batches


def newest(batches: Sequence[AggregateBatch]) -> dict[Window, dict[str, float]]:
    """Return the newest revision of every window; revisions count up by one."""
    found: dict[Window, dict[str, float]] = {}
    for batch in batches:
        for row in range(len(batch)):
            fields = {name: getattr(batch, name)[row].item() for name in batch.dtypes()}
            key = Window(*(int(fields[name]) for name in Window._fields))
            assert fields["revision"] == found.get(key, {"revision": -1})["revision"] + 1
            found[key] = fields
    return found


def windows_of(instant: int, zone: str) -> Iterator[tuple[int, int, int]]:
    """Yield start, length and calendar of the windows an instant lies in."""
    for length in (MINUTE_NS, 15 * MINUTE_NS, HOUR_NS, 24 * HOUR_NS):
        yield instant // length * length, length, FIXED
    for length, step in ((8 * HOUR_NS, HOUR_NS), (12 * HOUR_NS, 4 * HOUR_NS)):
        last = instant // step * step
        for start in range(last - length + step, last + 1, step):
            yield start, length, FIXED
    midnight = (EPOCH + timedelta(seconds=instant // SECOND_NS)).astimezone(ZoneInfo(zone))
    midnight = midnight.replace(hour=0, minute=0, second=0, microsecond=0)
    month, year = midnight.replace(day=1), midnight.replace(day=1, month=1)
    after = [
        (midnight + timedelta(hours=36)).replace(hour=0),
        (month + timedelta(days=32)).replace(day=1),
        year.replace(year=year.year + 1),
    ]
    for calendar, first, end in zip(
        (DAY, MONTH, YEAR), (midnight, month, year), after, strict=True
    ):
        start = round((first - EPOCH).total_seconds()) * SECOND_NS
        yield start, round((end - EPOCH).total_seconds()) * SECOND_NS - start, calendar


def brute_force(readings: Sequence[Reading], zone: str = BERLIN) -> dict[Window, dict[str, float]]:
    """Return every window's statistics from the readings alone, the last of an instant counting."""
    last = {(reading.series, reading.time): reading for reading in readings}
    members: dict[Window, list[Reading]] = defaultdict(list)
    for reading in last.values():
        for window in windows_of(reading.time, zone):
            members[Window(reading.series, *window)].append(reading)
    entering = {key: found.value for key, found in last.items() if found.flag != FAIL}
    pace = paces(sorted(last))
    return {
        window: statistics(window, found, entering) | accounted(window, found, pace)
        for window, found in members.items()
    }


def paces(keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return the usual gap before each reading: of the last eight in a week, the lower median."""
    found = {}
    for place, (series, time) in enumerate(keys):
        before = [at for other, at in keys[:place] if other == series and time - at <= WEEK_NS]
        gaps = sorted(b - a for a, b in itertools.pairwise([*before, time][-9:]))
        usual = gaps[(len(gaps) - 1) // 2] if gaps else DEFAULT_NS
        usual = usual if len(gaps) >= 3 else min(usual, DEFAULT_NS)
        found[series, time] = usual
    return found


def accounted(
    window: Window, members: list[Reading], pace: dict[tuple[int, int], int]
) -> dict[str, float]:
    """Return coverage, of windows up to an hour, and how many readings are usual in a window."""
    end, kept = window.start + window.length, sorted(members, key=lambda reading: reading.time)
    cover = due = 0.0
    for place, reading in enumerate(kept):
        usual, time = pace[reading.series, reading.time], reading.time
        before = (time - kept[place - 1].time) / 2 if place else time - window.start
        after = (kept[place + 1].time - time) / 2 if place + 1 < len(kept) else end - time
        if reading.flag != FAIL:
            cover += min(before, usual) + min(after, usual)
            due += (min(before, usual) + min(after, usual)) / usual
    last = pace[window.series, kept[-1].time]
    expected = window.length * due / cover if cover else window.length / last
    coverage = {"coverage": cover / window.length} if window.length <= HOUR_NS else {}
    return {"expected": expected, **coverage}


def statistics(
    window: Window, members: list[Reading], entering: dict[tuple[int, int], float]
) -> dict[str, float]:
    """Return what is published of one window."""
    kept = sorted((r for r in members if r.flag != FAIL), key=lambda reading: reading.time)
    values = [reading.value for reading in kept]
    quantity = QUANTITIES[window.series]
    mean = math.fsum(values) / len(values) if values else math.nan
    spread = math.fsum((value - mean) ** 2 for value in values)
    found = {
        "count": len(values),
        "suspect": sum(reading.flag == SUSPECT for reading in kept),
        "excluded": len(members) - len(values),
        "mean": mean,
        "total": math.fsum(values) if values else math.nan,
        "min": min(values, default=math.nan),
        "max": max(values, default=math.nan),
        "sd": math.sqrt(spread / (len(values) - 1)) if len(values) > 1 else math.nan,
        "first": values[0] if values else math.nan,
        "last": values[-1] if values else math.nan,
        "harmonic": math.nan,
        "volume_weighted": math.nan,
        "resultant": math.nan,
        "rate": math.nan,
    }
    if quantity == "wind_direction":
        found |= directions(kept, entering)
    if quantity == "speed":
        found |= speeds(kept, entering)
    if quantity == "vehicle_count_total":
        found |= {"total": math.nan, "rate": rate(kept)}
    return found


def directions(kept: list[Reading], entering: dict[tuple[int, int], float]) -> dict[str, float]:
    """Return the statistics of directions: those of instants that were not calm."""
    nothing = dict.fromkeys(("mean", "sd", "total", "min", "max", "resultant"), math.nan)
    speed = QUANTITIES.index("wind_speed")
    blew = [r.value for r in kept if not entering.get((speed, r.time), 9) < 0.5]
    if not blew:
        return nothing
    vector = sum(cmath.rect(1, math.radians(value)) for value in blew) / len(blew)
    nothing["resultant"] = min(abs(vector), 1)
    if abs(vector) >= 0.01:
        nothing["mean"] = math.degrees(cmath.phase(vector)) % 360
    if len(blew) > 1:
        excess = math.sqrt(1 - nothing["resultant"] ** 2)
        nothing["sd"] = math.degrees(math.asin(excess) * (1 + 0.1547 * excess**3))
    return nothing


def speeds(kept: list[Reading], entering: dict[tuple[int, int], float]) -> dict[str, float]:
    """Return the means of speeds that vehicles had."""
    count, flow = QUANTITIES.index("vehicle_count"), QUANTITIES.index("flow")
    pairs = [(r.value, entering.get((count, r.time), entering.get((flow, r.time)))) for r in kept]
    passed = [(speed, volume) for speed, volume in pairs if speed > 0 and volume != 0]
    counted = [(speed, volume) for speed, volume in passed if volume is not None]
    vehicles = [(speed, 1.0 if volume is None else volume) for speed, volume in passed]
    slowness = math.fsum(volume / speed for speed, volume in vehicles)
    number = math.fsum(volume for _, volume in vehicles)
    volume = math.fsum(volume for _, volume in counted)
    return {
        "harmonic": number / slowness if passed else math.nan,
        "volume_weighted": math.fsum(s * v for s, v in counted) / volume if counted else math.nan,
    }


def rate(kept: list[Reading]) -> float:
    """Return the increase per hour."""
    risen = 0.0
    for before, after in itertools.pairwise(reading.value for reading in kept):
        wraps = after < before and 49_152 <= before < 65_536 and after <= 16_384
        risen += after - before if after >= before else after + (65_536 - before) * wraps
    hours = (kept[-1].time - kept[0].time) / HOUR_NS if kept else 0
    return risen / hours if hours else math.nan


def assert_quantiles(window: Window, found: dict[str, float], members: list[float]) -> None:
    """Each within one per cent of the readings it lies between."""
    has_none = QUANTITIES[window.series] in {"wind_direction", "vehicle_count_total"}
    for percent in sketch.PERCENTS:
        quantile = found[f"q{percent:02d}"]
        if not members or has_none or window.length < 15 * MINUTE_NS:
            assert math.isnan(quantile)
        else:
            largest = max(
                abs(np.percentile(members, percent, method=side)) for side in ("lower", "higher")
            )
            exact = np.percentile(members, percent)
            assert abs(quantile - exact) <= 0.01 * largest * (1 + 1e-9)


def assert_coverage(found: dict[Window, dict[str, float]]) -> None:
    """Longer windows count the hours of UTC, or of the local day, that are valid."""
    hours = {
        (key.series, key.start): row["coverage"] >= 0.75
        for key, row in found.items()
        if (key.length, key.calendar) == (HOUR_NS, FIXED)
    }
    for key, row in found.items():
        if key.length > HOUR_NS:
            inside = range(key.start, key.start + key.length, HOUR_NS)
            valid = sum(hours.get((key.series, hour), False) for hour in inside)
            assert row["coverage"] == pytest.approx(valid * HOUR_NS / key.length)
            enough = row["coverage"] >= (0.9 if key.calendar == YEAR else 0.75)
            assert row["flag"] == (9 if row["count"] == 0 else GOOD if enough else SUSPECT)


@settings(deadline=None, max_examples=60)
@given(streams(), st.lists(st.integers(0, 100), max_size=6), st.sets(st.integers(0, 6)))
def test_whatever_the_order_every_window_says_what_its_readings_say(
    readings: list[Reading], cuts: list[int], ticks: set[int]
) -> None:
    """Late, doubled and corrected readings, clocks that change, leap days, cuts anywhere."""
    found = newest(run(readings, cuts, sorted(ticks)))
    truth = brute_force(readings)

    assert found.keys() == truth.keys()
    last = {(reading.series, reading.time): reading for reading in readings}
    for window, expected in truth.items():
        for name, value in expected.items():
            ours = found[window][name]
            if name == "mean" and QUANTITIES[window.series] == "wind_direction" and value == value:  # noqa: PLR0124 - NaN
                assert 0 <= ours < 360
                value, ours = (value - ours + 180) % 360, 180.0  # noqa: PLW2901
            assert ours == pytest.approx(value, rel=1e-9, abs=1e-5, nan_ok=True), (window, name)
        members = [
            reading.value
            for (series, time), reading in last.items()
            if series == window.series
            and window.start <= time < window.start + window.length
            and reading.flag != FAIL
        ]
        assert_quantiles(window, found[window], members)
    assert_coverage(found)


@settings(deadline=None, max_examples=40)
@given(streams(), st.lists(st.integers(0, 100), max_size=6))
def test_days_of_a_zone_off_by_quarters_of_an_hour_are_whole(
    readings: list[Reading], cuts: list[int]
) -> None:
    """In Kathmandu a day begins at 18:15 UTC, inside an hour of UTC."""
    found = newest(run(readings, cuts, [0, 2], KATHMANDU))
    truth = brute_force(readings, KATHMANDU)

    assert found.keys() == truth.keys()
    for window, expected in truth.items():
        assert found[window]["count"] == expected["count"]
        assert found[window]["max"] == pytest.approx(expected["max"], nan_ok=True)


@settings(deadline=None, max_examples=60)
@given(streams(), st.lists(st.integers(0, 100), max_size=6))
def test_cuts_between_two_ticks_change_nothing_at_all(
    readings: list[Reading], cuts: list[int]
) -> None:
    """Byte for byte."""
    whole, cut = run(readings, [], []), run(readings, cuts, [])

    assert arrow_bytes(whole[-1].to_arrow()) == arrow_bytes(cut[-1].to_arrow())


@settings(deadline=None, max_examples=60)
@given(streams(), st.integers(0, 60), st.integers(0, 60))
def test_what_did_not_change_is_not_said_again(
    readings: list[Reading], at: int, again: int
) -> None:
    """Readings that are sent again make no revision; a corrected one revises only its windows."""
    windows = EventTimeWindows(SETTINGS, table(), city=CityCalendar(BERLIN))
    windows.add(judged(readings))
    windows.advance(BEGINS[-1] + 800 * DAY_NS)
    last = list({(reading.series, reading.time): reading for reading in readings}.values())
    windows.add(judged(last[again:], revision=AMENDED))
    assert len(windows.advance(BEGINS[-1] + 800 * DAY_NS)) == 0
    if not last:
        return
    wrong = last[at % len(last)]
    windows.add(judged([wrong._replace(value=wrong.value + 1, flag=GOOD)], CORRECTED))

    revised = newest([_rewound(windows.advance(BEGINS[-1] + 800 * DAY_NS))])

    beside = {"wind_speed": "wind_direction", "vehicle_count": "speed", "flow": "speed"}
    quantity = QUANTITIES[wrong.series]
    concerned = {wrong.series, QUANTITIES.index(beside.get(quantity, quantity))}
    assert {window.series for window in revised} <= concerned
    own = {window for window in revised if window.series == wrong.series}
    assert own == {Window(wrong.series, *found) for found in windows_of(wrong.time, BERLIN)}
    assert all(w.start <= wrong.time < w.start + w.length for w in revised)


def _rewound(batch: AggregateBatch) -> AggregateBatch:
    """Return windows as if they went out for the first time."""
    assert (batch.revision > 0).all()
    columns = {name: getattr(batch, name) for name in batch.dtypes()}
    return AggregateBatch(**{**columns, "revision": np.zeros(len(batch), np.int32)})


@settings(deadline=None, max_examples=60)
@given(streams(), st.integers(0, 60))
def test_a_restored_snapshot_goes_on_as_if_nothing_happened(
    readings: list[Reading], at: int
) -> None:
    """Open days, months and years and the sketches of closed hours are part of it."""
    city = CityCalendar(BERLIN)
    steady, restored = (EventTimeWindows(SETTINGS, table(), city=city) for _ in range(2))
    steady.add(judged(readings[:at]))
    steady.advance(BEGINS[-1])
    restored.restore(steady.snapshot())

    for windows in (steady, restored):
        windows.add(judged(readings[at:]))

    end = BEGINS[-1] + 800 * DAY_NS
    assert arrow_bytes(steady.advance(end).to_arrow()) == arrow_bytes(
        restored.advance(end).to_arrow()
    )
