# SPDX-License-Identifier: EUPL-1.2
"""What the windows remember: the same in memory and in files, by day and across days."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.batch import AggregateBatch
from lamppost.flags import FAIL, GOOD
from lamppost.frames import arrow_bytes
from lamppost.shelf import MemoryShelf
from lamppost.times import DAY_NS, HOUR_NS, SECOND_NS
from processors.windows import _table
from processors.windows._rows import ordered
from processors.windows._statistics import RAW
from processors.windows._table import NO_ROWS, Table
from processors.windows.event_time import EventTimeSettings, EventTimeWindows

from .test_event_time import START, Reading, assert_same, batch, brute_force, newest, table

FORMER_SNAPSHOT = Path(__file__).parents[2] / "data/former_window_snapshot.npz"
NEXT_TO_NOTHING_MB = 1e-4
DAYS = 5

late_readings = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.builds(
            lambda day, second: day * 86_400 + second,
            st.integers(0, DAYS - 1),
            st.sampled_from([0, 1, 59, 60, 86_399]) | st.integers(0, 7200),
        ),
        st.floats(-1e6, 1e6, allow_nan=False),
        st.sampled_from([GOOD, GOOD, GOOD, FAIL]),
    ),
    max_size=60,
)
CUTS = st.lists(st.integers(0, 60), max_size=8)


def aggregator(shelf: MemoryShelf, memory_mb: float = NEXT_TO_NOTHING_MB) -> EventTimeWindows:
    """Return windows that keep hardly anything in memory."""
    return EventTimeWindows(EventTimeSettings(memory_mb=memory_mb), table(), shelf)


def parts(readings: list[Reading], cuts: list[int]) -> list[list[Reading]]:
    """Return readings cut at some places."""
    edges = sorted({0, len(readings), *(cut % (len(readings) + 1) for cut in cuts)})
    return [readings[begin:end] for begin, end in itertools.pairwise(edges)]


def ticked(windows: EventTimeWindows, number: int, readings: list[Reading]) -> AggregateBatch:
    """Take some readings in and let an hour pass, long after all of them."""
    windows.add(batch(readings))
    return windows.advance(START + (DAYS + 40) * DAY_NS + number * HOUR_NS)


@settings(deadline=None)
@given(late_readings, CUTS)
def test_files_and_memory_say_the_same_byte_for_byte(
    readings: list[Reading], cuts: list[int]
) -> None:
    """Late readings across days and across spilled runs; and both know the same readings."""
    spilled, held = aggregator(MemoryShelf()), aggregator(MemoryShelf(), 64)

    for number, some in enumerate(parts(readings, cuts)):
        first, second = ticked(spilled, number, some), ticked(held, number, some)
        assert arrow_bytes(first.to_arrow()) == arrow_bytes(second.to_arrow())

    everything = batch(readings)
    for one, other in zip(
        spilled.known(everything.series, everything.time),
        held.known(everything.series, everything.time),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert bool(spilled.shelved()) == bool(readings)
    assert not held.shelved()


@settings(deadline=None)
@given(late_readings, CUTS)
def test_spilled_windows_end_in_the_brute_force_statistics(
    readings: list[Reading], cuts: list[int]
) -> None:
    """Whatever lies in files when the next late reading comes; revisions count up by one."""
    windows = aggregator(MemoryShelf())

    said = [ticked(windows, number, some) for number, some in enumerate(parts(readings, cuts))]

    assert_same(newest(said), brute_force(readings))


@settings(deadline=None)
@given(late_readings, CUTS, st.integers(0, 60))
def test_a_snapshot_that_names_files_goes_on_as_if_nothing_happened(
    readings: list[Reading], cuts: list[int], at: int
) -> None:
    """The files stay where they are; the snapshot only says which."""
    shelf = MemoryShelf()
    steady = aggregator(shelf)
    for number, some in enumerate(parts(readings[:at], cuts)):
        ticked(steady, number, some)
    snapshot = steady.snapshot()
    restored = aggregator(shelf)
    restored.restore(snapshot)

    for number, some in enumerate(parts(readings[at:], cuts), 60):
        first, second = ticked(steady, number, some), ticked(restored, number, some)
        assert arrow_bytes(first.to_arrow()) == arrow_bytes(second.to_arrow())
    assert all(len(found) <= 60 for name, found in snapshot.items() if name.endswith("rows"))


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(0, 9)), max_size=12)
STEPS = st.lists(
    st.tuples(st.sampled_from(["keep", "spill", "restore", "expire"]), ROWS), max_size=12
)


def raw(rows: list[tuple[int, int, int]]) -> npt.NDArray[Any]:
    """Return readings of rows of series, hours from the start, and value."""
    made = np.zeros(len(rows), RAW)
    for place, (series, hours, value) in enumerate(rows):
        made[place] = (START + hours * HOUR_NS, value, series, 0.0, np.nan, 1)
    return made


@settings(deadline=None, max_examples=200)
@given(STEPS)
def test_a_table_is_a_dictionary_of_the_newest_rows(
    steps: list[tuple[str, list[tuple[int, int, int]]]],
) -> None:
    """However it is spilled, joined, stored and restored; what is in reach is never forgotten."""
    shelf, reach = MemoryShelf(), 0
    held = Table(RAW, shelf)
    model: dict[tuple[int, int], int] = {}
    for step, rows in steps:
        held.insert(ordered(raw(rows)))
        model.update({(series, hours): value for series, hours, value in rows})
        if step == "spill":
            held.spill()
        elif step == "restore":
            again = Table(RAW, shelf)
            again.restore(held.snapshot())
            held = again
        elif step == "expire":
            reach = max(reach, min((hours for _, hours in model), default=0) + 1)
            series_reach = np.array([START + reach * HOUR_NS] * 3 + [START, NO_ROWS])
            held.expire(series_reach)

    asked = [(series, hours) for series in range(4) for hours in range(61)]
    wanted = {key: model[key] for key in asked if key in model and (key[1] >= reach or key[0] == 3)}
    series = np.array([key[0] for key in asked], np.int32)
    time = np.array([START + key[1] * HOUR_NS for key in asked])
    there, found = held.find(series, time)
    known = {key: found["value"][place] for place, key in enumerate(asked) if there[place]}
    assert {key: value for key, value in known.items() if key in wanted} == wanted
    assert known.keys() <= model.keys()

    codes = np.arange(4, dtype=np.int32)
    spans = held.between(codes, np.full(4, START + 20 * HOUR_NS), np.full(4, START + 40 * HOUR_NS))
    cut = {(int(row["series"]), int(row["time"] - START) // HOUR_NS): row["value"] for row in spans}
    inside = {key: value for key, value in wanted.items() if 20 <= key[1] < 40}
    assert {key: value for key, value in cut.items() if key in inside} == inside
    assert list(cut) == sorted(cut)


def test_whole_days_behind_the_horizon_leave_the_shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    """A station that stopped keeps its own last days, and nobody else's."""
    monkeypatch.setattr(_table, "_LARGEST_FILE", 200)
    shelf = MemoryShelf()
    held = Table(RAW, shelf)
    for day in range(40):
        held.insert(ordered(raw([(code, 24 * day, day) for code in range(3 if day < 5 else 2)])))
        held.spill()

    held.expire(np.array([START + 35 * DAY_NS, START + 35 * DAY_NS, START]))

    assert len(held) < 40
    there, _ = held.find(np.full(5, 2, np.int32), START + np.arange(5) * DAY_NS)
    assert there.all()


def test_a_year_in_order_makes_few_files() -> None:
    """Hours of one station, a tick after each week: no file for each of 365 days."""
    windows = EventTimeWindows(EventTimeSettings(memory_mb=0.01), table(), MemoryShelf())
    for week in range(52):
        hours = [(0, 3600 * (168 * week + hour), 1.0, GOOD) for hour in range(168)]
        windows.add(batch(hours))
        windows.advance(START + 400 * DAY_NS + week * HOUR_NS)

    assert len(windows.shelved()) < 40


def test_a_reading_beyond_what_was_forgotten_is_too_old_whatever_the_horizon_is_now() -> None:
    """A longer horizon does not bring back what a shorter one let go."""
    short = EventTimeWindows(EventTimeSettings(correction_horizon_s=3600), table())
    short.add(batch([(0, 40_000, 1.0, GOOD)]))
    long = EventTimeWindows(EventTimeSettings(correction_horizon_s=86_400), table())
    long.adopt(short)

    series = np.array([0, 1], np.int32)
    oldest = long.oldest(series, np.array([START + 50_000 * SECOND_NS, START]))

    assert oldest.tolist() == [START + 36_400 * SECOND_NS, START - DAY_NS]


def test_a_snapshot_of_the_version_before_is_understood() -> None:
    """An upgrade goes on with every revision and every reading that was held, and no more.

    What a late reading shows about the pace of the two after it is said anew of their minutes.
    """
    windows = EventTimeWindows(EventTimeSettings(), table())
    with np.load(FORMER_SNAPSHOT) as former:
        windows.restore(dict(former))

    said = windows.advance(START + 2 * DAY_NS)

    revised = (said.revision == 2).nonzero()[0]
    assert said.length[revised].tolist() == [60 * SECOND_NS, 900 * SECOND_NS, HOUR_NS]
    assert said.count[revised].tolist() == [3, 4, 4]
    assert len(said) == 7 + 2
    newest_at = START + 4000 * SECOND_NS
    oldest = windows.oldest(np.zeros(1, np.int32), np.array([newest_at]))
    assert oldest.tolist() == [newest_at - 6 * HOUR_NS]
