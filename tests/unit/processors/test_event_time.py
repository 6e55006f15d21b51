# SPDX-License-Identifier: EUPL-1.2
"""EventTimeWindows windows against a brute-force recomputation."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lamppost.batch import AggregateBatch, JudgedBatch, ReadingBatch
from lamppost.flags import FAIL, GOOD, MISSING, SUSPECT
from lamppost.frames import arrow_bytes
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from processors.windows.event_time import EventTimeSettings, EventTimeWindows

START = 1_700_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
LENGTHS = (MINUTE_NS, 15 * MINUTE_NS, HOUR_NS)

# (series, second of the day, value, flag)
Reading = tuple[int, int, float, int]

readings_strategy = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 3 * 3600),
        st.floats(-1e6, 1e6, allow_nan=False),
        st.sampled_from([GOOD, GOOD, SUSPECT, FAIL]),
    ),
    max_size=60,
)


def table(count: int = 3) -> SeriesTable:
    """Return a table of some series."""
    return SeriesTable(SeriesKey(f"s{number}", "pm2_5") for number in range(count))


def batch(readings: list[Reading]) -> JudgedBatch:
    """Return judged readings received in order, a second apart."""
    columns = list(zip(*readings, strict=True)) if readings else [(), (), (), ()]
    series, second, value, flag = columns
    time = START + np.array(second, np.int64) * SECOND_NS
    return JudgedBatch.unscored(
        ReadingBatch(
            series=np.array(series, np.int32),
            time=time,
            received=np.full(len(time), START + DAY_NS),
            value=np.array(value, np.float64),
            flag=np.array(flag, np.uint8),
            reasons=np.zeros(len(time), np.uint32),
        )
    )


def newest(
    batches: list[AggregateBatch], *, first: int = 0
) -> dict[tuple[int, int, int], dict[str, float]]:
    """Return the newest revision of every window, and check that revisions count up by one.

    Args:
        batches: what was published, in order.
        first: the highest revision a window may begin with.
    """
    found: dict[tuple[int, int, int], dict[str, float]] = {}
    for aggregates in batches:
        for row in range(len(aggregates)):
            fields = {name: getattr(aggregates, name)[row] for name in AggregateBatch.dtypes()}
            key = (fields["series"], fields["start"], fields["length"])
            former = found.get(key, {"revision": -1})["revision"]
            assert former < fields["revision"] <= max(former + 1, first)
            found[key] = fields
    return found


def brute_force(
    readings: list[Reading], lengths: tuple[int, ...] = LENGTHS
) -> dict[tuple[int, int, int], dict[str, float]]:
    """Return every window's statistics from the readings alone, the last of an instant counting."""
    last = {(series, second): (value, flag) for series, second, value, flag in readings}
    windows: dict[tuple[int, int, int], list[tuple[float, int]]] = defaultdict(list)
    for (series, second), reading in last.items():
        instant = START + second * SECOND_NS
        for length in lengths:
            windows[series, instant // length * length, length].append(reading)
    return {key: statistics(members) for key, members in windows.items()}


def statistics(members: list[tuple[float, int]]) -> dict[str, float]:
    """Return count, mean, extremes and deviation of the readings that enter."""
    values = [value for value, flag in members if flag != FAIL]
    result: dict[str, float] = {
        "count": len(values),
        "suspect": sum(flag == SUSPECT for _, flag in members),
        "excluded": len(members) - len(values),
    }
    mean = math.fsum(values) / len(values) if values else math.nan
    result["mean"] = mean
    result["total"] = math.fsum(values) if values else math.nan
    result["min"] = min(values, default=math.nan)
    result["max"] = max(values, default=math.nan)
    spread = math.fsum((value - mean) ** 2 for value in values)
    result["sd"] = math.sqrt(spread / (len(values) - 1)) if len(values) > 1 else math.nan
    return result


def assert_same(
    ours: dict[tuple[int, int, int], dict[str, float]],
    truth: dict[tuple[int, int, int], dict[str, float]],
) -> None:
    """Compare windows to 1e-9 of the size of what went in."""
    assert ours.keys() == truth.keys()
    for key, expected in truth.items():
        for name, value in expected.items():
            assert ours[key][name] == pytest.approx(value, rel=1e-9, abs=1e-3, nan_ok=True), name


def run(readings: list[Reading], cuts: list[int], ticks: list[int]) -> list[AggregateBatch]:
    """Feed readings cut at some places, with ticks after some of the parts."""
    windows = EventTimeWindows(EventTimeSettings(correction_horizon_s=86_400), table())
    batches = []
    edges = sorted({0, len(readings), *(cut % (len(readings) + 1) for cut in cuts)})
    for number, (begin, end) in enumerate(itertools.pairwise(edges)):
        windows.add(batch(readings[begin:end]))
        if number in ticks:
            batches.append(windows.advance(START + DAY_NS))
    batches.append(windows.advance(START + 3 * DAY_NS))
    return batches


@settings(deadline=None)
@given(readings_strategy, st.lists(st.integers(0, 100), max_size=6), st.lists(st.integers(0, 6)))
def test_any_order_cuts_and_ticks_end_in_the_brute_force_statistics(
    readings: list[Reading], cuts: list[int], ticks: list[int]
) -> None:
    """Late, doubled and corrected readings leave exactly the right numbers behind."""
    batches = run(readings, cuts, ticks)

    assert_same(newest(batches), brute_force(readings))


@settings(deadline=None)
@given(readings_strategy, st.lists(st.integers(0, 100), max_size=6))
def test_cuts_between_two_ticks_change_nothing_at_all(
    readings: list[Reading], cuts: list[int]
) -> None:
    """Between two calls of advance, the cut of batches does not show in any column."""
    whole = run(readings, [], [])
    cut = run(readings, cuts, [])

    for name in AggregateBatch.dtypes():
        ours, theirs = getattr(whole[-1], name), getattr(cut[-1], name)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


@settings(deadline=None, max_examples=40)
@given(readings_strategy, st.integers(0, 60))
def test_a_restored_snapshot_goes_on_as_if_nothing_happened(
    readings: list[Reading], at: int
) -> None:
    """Snapshot and restore in the middle give the same rows as never stopping."""
    first, second = readings[:at], readings[at:]
    steady = EventTimeWindows(EventTimeSettings(), table())
    steady.add(batch(first))
    steady.advance(START + DAY_NS)
    restored = EventTimeWindows(EventTimeSettings(), table())
    restored.restore(steady.snapshot())

    for windows in (steady, restored):
        windows.add(batch(second))

    after = steady.advance(START + 2 * DAY_NS)
    again = restored.advance(START + 2 * DAY_NS)
    assert arrow_bytes(after.to_arrow()) == arrow_bytes(again.to_arrow())


def test_an_hour_of_minutes_is_covered_and_one_with_holes_is_not() -> None:
    """Coverage is covered time over window length, and decides the flag (75 % rule).

    The last reading before the hole and the first one after it account for half a minute less
    than to either side of them, and for half a minute more: the hole is 21 minutes long.
    """
    full = [(0, 60 * minute, 1.0, GOOD) for minute in range(60)]
    holes = [(1, 60 * minute, 1.0, GOOD) for minute in range(60) if not 20 <= minute < 40]

    aggregates = newest(run(full + holes, [], []))

    hour, holed = aggregates[0, START, HOUR_NS], aggregates[1, START, HOUR_NS]
    assert (hour["coverage"], hour["expected"], hour["flag"]) == (1.0, 60.0, GOOD)
    assert holed["coverage"] == pytest.approx((19 + 1 + 1 + 20) / 60)
    assert holed["flag"] == SUSPECT


def covered(seconds: list[int]) -> list[float]:
    """Return the coverage of the hours in which a series reports."""
    aggregates = newest(run([(0, second, 1.0, GOOD) for second in seconds], [], []))
    hours = sorted(key for key in aggregates if key[2] == HOUR_NS)
    return [aggregates[key]["coverage"] for key in hours]


def test_a_long_first_gap_is_no_cadence() -> None:
    """Two readings 57 minutes apart speak for a minute to either side, inside their hour."""
    assert covered([0, 57 * 60]) == pytest.approx([3 / 60])


def test_two_gaps_are_not_enough_to_make_an_outage_usual() -> None:
    """A minute, 40 minutes of nothing, and a minute again."""
    assert covered([0, 60, 41 * 60, 42 * 60]) == pytest.approx([(1 + 1 + 1 + 1 + 1) / 60])


def test_an_hourly_series_is_covered_once_its_cadence_is_known() -> None:
    """After three gaps an hour is what is usual."""
    assert covered([3600 * hour for hour in range(6)]) == pytest.approx(
        [1 / 60, 1 / 60, 1 / 60, 1, 1, 1]
    )


def test_a_fast_series_is_held_by_its_own_pace_from_the_second_reading_on() -> None:
    """The default only limits what is slow."""
    assert covered([0, 1, 2, 1802]) == pytest.approx([(1 + 1 + 1 + 2) / 3600])


def test_a_window_of_failed_readings_is_missing_not_zero() -> None:
    """A window nothing entered has no mean and says how many readings were kept out."""
    aggregates = newest(run([(0, 5, 999.0, FAIL)], [], []))

    minute = aggregates[0, START, MINUTE_NS]
    assert (minute["count"], minute["excluded"], minute["flag"]) == (0, 1, MISSING)
    assert math.isnan(minute["mean"])


def test_a_repeated_reading_makes_no_revision() -> None:
    """The same value for the same instant changes nothing and says nothing."""
    windows = EventTimeWindows(EventTimeSettings(), table())
    windows.add(batch([(0, 5, 1.0, GOOD)]))
    windows.advance(START + 2 * DAY_NS)
    windows.add(batch([(0, 5, 1.0, GOOD)]))

    again = windows.advance(START + 2 * DAY_NS)

    assert len(again) == 0


def test_one_wrong_clock_closes_only_its_own_windows() -> None:
    """A device far ahead does not close the windows of another."""
    windows = EventTimeWindows(EventTimeSettings(), table())
    windows.add(batch([(0, 10, 1.0, GOOD), (1, 3 * 3600, 1.0, GOOD), (1, 10, 1.0, GOOD)]))

    closed = windows.advance(START + DAY_NS)

    assert set(closed.series.tolist()) == {1}


def test_a_silent_series_is_closed_by_the_ticks() -> None:
    """While nothing arrives, the series' own clock runs on with engine time."""
    windows = EventTimeWindows(EventTimeSettings(allowed_lateness_s=30), table())
    windows.add(batch([(0, 10, 1.0, GOOD)]))

    early = windows.advance(START + DAY_NS + 79 * SECOND_NS)
    due = windows.advance(START + DAY_NS + 80 * SECOND_NS)

    assert (len(early), len(due)) == (0, 1)


@pytest.mark.parametrize("lengths", [["7min", "15min"], ["1h", "1min"], [], ["ten"]])
def test_lengths_that_do_not_nest_are_refused(lengths: list[str]) -> None:
    """Hours from minutes need lengths that divide one another."""
    with pytest.raises(ValidationError):
        EventTimeSettings.model_validate({"lengths": lengths})


@settings(deadline=None, max_examples=60)
@given(
    readings_strategy,
    st.integers(0, 60),
    st.sampled_from([("1min", "15min", "1h"), ("5min", "15min", "1h"), ("1min", "30min"), ("1h",)]),
    st.sampled_from(["ticked", "not ticked"]),
)
def test_a_change_of_policy_loses_no_reading(
    readings: list[Reading], at: int, lengths: tuple[str, ...], tick: str
) -> None:
    """Whatever the windows become, those closed from then on hold everything, revisions go on."""
    changed = EventTimeSettings(
        lengths=lengths, allowed_lateness_s=90, correction_horizon_s=86_400, min_coverage=0.5
    )
    before = EventTimeWindows(EventTimeSettings(correction_horizon_s=86_400), table())
    before.add(batch(readings[:at]))
    published = [before.advance(START + DAY_NS)] if tick == "ticked" else []
    after = EventTimeWindows(changed, table())
    after.adopt(before)

    after.add(batch(readings[at:]))
    published.append(after.advance(START + 5 * DAY_NS))

    kept = [part.take(np.isin(part.length, changed.lengths_ns)) for part in published]
    found = newest(kept, first=1)  # an earlier window of a new length was worked out, not published
    truth = brute_force(readings, changed.lengths_ns)
    assert_same(found, {key: row for key, row in truth.items() if key in found})
    seen = brute_force(readings[:at], changed.lengths_ns) if tick == "ticked" else {}
    assert {key for key in truth if key not in seen} <= set(found)
