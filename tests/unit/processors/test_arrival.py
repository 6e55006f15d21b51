# SPDX-License-Identifier: EUPL-1.2
"""What a reading is when it arrives, against a loop over readings in plain Python."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.batch import JudgedBatch, ReadingBatch
from lamppost.flags import CORRECTION, OUT_OF_ORDER
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS
from processors.arrival import Arrival, Arrived
from processors.windows.event_time import EventTimeSettings, EventTimeWindows

HORIZON = 10
Row = tuple[int, int, float]

ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 12) | st.integers(0, 60),
        st.sampled_from([1.0, 2.0, math.nan]),
    ),
    max_size=30,
)
CUTS = st.lists(st.integers(0, 30), max_size=4)


class Held:
    """A memory of readings as a dictionary."""

    def __init__(self) -> None:
        """Start empty."""
        self.values: dict[tuple[int, int], float] = {}

    def known(self, series: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which instants are held, and the value of each."""
        keys = list(zip(series.tolist(), time.tolist(), strict=True))
        held = np.array([key in self.values for key in keys], np.bool_)
        return held, np.array([self.values.get(key, 0.0) for key in keys])

    def oldest(self, series: np.ndarray, newest: np.ndarray) -> np.ndarray:
        """Return the oldest instant that may still change."""
        return newest - HORIZON

    def keep(self, readings: ReadingBatch) -> None:
        """Take in what goes on."""
        rows = zip(readings.series, readings.time, readings.value, strict=True)
        self.values.update(((int(code), int(time)), float(value)) for code, time, value in rows)


@dataclass
class Fate:
    """What became of rows, by their number."""

    in_order: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    corrections: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    too_old: list[int] = field(default_factory=list)


def batch_of(rows: Sequence[Row]) -> ReadingBatch:
    """Return readings of rows of series, time and value."""
    count = len(rows)
    return ReadingBatch(
        series=np.array([row[0] for row in rows], np.int32),
        time=np.array([row[1] for row in rows], np.int64),
        received=np.arange(count) + 1000,
        value=np.array([row[2] for row in rows], np.float64),
        flag=np.full(count, 2, np.uint8),
        reasons=np.full(count, 1 << 31, np.uint32),
    )


def make_arrival() -> tuple[Arrival, Held]:
    """Return a new arrival over an empty memory."""
    memory = Held()
    series = SeriesTable(SeriesKey(str(code), "raw") for code in range(3))
    return Arrival(series, memory), memory


def plain(rows: Sequence[Row]) -> Fate:
    """Sort rows out one by one."""
    fate = Fate()
    newest: dict[int, int] = {}
    held: dict[tuple[int, int], float] = {}
    for number, (code, time, value) in enumerate(rows):
        before = newest.get(code, -(10**9))
        known = held.get((code, time))
        if time < before - HORIZON:
            fate.too_old.append(number)
            continue
        if known is not None and (known == value or (math.isnan(known) and math.isnan(value))):
            fate.duplicates.append(number)
            continue
        if time > before:
            fate.in_order.append(number)
        else:
            fate.late.append(number)
        if known is not None:
            fate.corrections.append(number)
        held[code, time] = value
        newest[code] = max(before, time)
    return fate


def vectorised(rows: Sequence[Row], cuts: Sequence[int]) -> Fate:
    """Sort rows out in batches, each remembered before the next."""
    fate = Fate()
    arrival, memory = make_arrival()
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for first, last in itertools.pairwise(edges):
        arrived = arrival.sort_out(batch_of(rows[first:last]))
        memory.keep(arrived.readings)
        kept = arrived.kept + first
        reasons = arrived.readings.reasons
        fate.in_order += kept[arrived.in_order].tolist()
        fate.late += kept[reasons & OUT_OF_ORDER.mask > 0].tolist()
        fate.corrections += kept[reasons & CORRECTION.mask > 0].tolist()
        fate.duplicates += (arrived.duplicates + first).tolist()
        fate.too_old += (arrived.too_old + first).tolist()
    return fate


@settings(deadline=None, max_examples=300)
@given(ROWS, CUTS)
def test_every_reading_is_what_a_loop_over_readings_says(rows: list[Row], cuts: list[int]) -> None:
    """Wherever batches are cut: in order, late, corrected, a duplicate or too old."""
    assert vectorised(rows, cuts) == plain(rows)


@settings(deadline=None)
@given(ROWS)
def test_no_reading_is_lost_or_doubled(rows: list[Row]) -> None:
    """Kept, duplicate and too old together are all there were, in order of arrival."""
    arrival, _ = make_arrival()

    arrived = arrival.sort_out(batch_of(rows))

    everything = [*arrived.kept, *arrived.duplicates, *arrived.too_old]
    assert sorted(everything) == list(range(len(rows)))
    assert arrived.kept.tolist() == sorted(arrived.kept.tolist())
    assert len(arrived.readings) == len(arrived.in_order) == len(arrived.kept)


@settings(deadline=None)
@given(ROWS)
def test_readings_that_go_on_are_unchanged_but_for_their_marks(rows: list[Row]) -> None:
    """Reasons they came with stay; so does the batch that was handed in."""
    arrival, _ = make_arrival()
    batch = batch_of(rows)

    arrived = arrival.sort_out(batch)

    for name in ("series", "time", "received", "value", "flag"):
        expected = getattr(batch, name)[arrived.kept]
        assert getattr(arrived.readings, name).tobytes() == expected.tobytes()
    marks = OUT_OF_ORDER.mask | CORRECTION.mask
    assert (arrived.readings.reasons & ~marks == 1 << 31).all()
    assert (batch.reasons == 1 << 31).all()


@settings(deadline=None)
@given(ROWS, st.integers(0, 30))
def test_restoring_a_snapshot_and_going_on_equals_never_having_stopped(
    rows: list[Row], stop: int
) -> None:
    """The memory is kept apart and survives by itself."""
    whole, memory = make_arrival()
    memory.keep(whole.sort_out(batch_of(rows[:stop])).readings)
    restored = Arrival(SeriesTable(SeriesKey(str(code), "raw") for code in range(3)), memory)

    restored.restore(whole.snapshot())
    went_on = whole.sort_out(batch_of(rows[stop:]))
    started_again = restored.sort_out(batch_of(rows[stop:]))

    assert shape(started_again) == shape(went_on)
    assert restored.last_received.tolist() == whole.last_received.tolist()


def shape(arrived: Arrived) -> list[list[float]]:
    """Return everything that was said as plain lists."""
    readings = arrived.readings
    return [
        readings.reasons.tolist(),
        arrived.in_order.tolist(),
        arrived.kept.tolist(),
        arrived.duplicates.tolist(),
        arrived.too_old.tolist(),
    ]


def test_the_newest_receipt_counts_duplicates_too() -> None:
    """A device that repeats itself is not silent; a series never heard stands at its start."""
    arrival, memory = make_arrival()
    memory.keep(arrival.sort_out(batch_of([(0, 5, 1.0)])).readings)

    arrived = arrival.sort_out(batch_of([(1, 5, 1.0), (0, 5, 1.0), (0, -50, 1.0)]))

    assert arrived.duplicates.tolist() == [1]
    assert arrived.too_old.tolist() == [2]
    assert arrival.last_received.tolist()[:2] == [1002, 1000]
    assert arrival.last_received[2] < 0


@pytest.mark.parametrize("together", [False, True])
def test_beside_the_windows_the_horizon_does_not_depend_on_batches(*, together: bool) -> None:
    """With the real memory: a reading a day late is too old in the batch that shows it, too."""
    series = SeriesTable([SeriesKey("a", "raw")])
    windows = EventTimeWindows(EventTimeSettings(correction_horizon_s=3600.0), series)
    arrival = Arrival(series, windows)
    rows = [(0, 24 * HOUR_NS, 1.0), (0, HOUR_NS, 2.0), (0, HOUR_NS, 2.0), (0, 23 * HOUR_NS, 3.0)]
    batches = [rows] if together else [[row] for row in rows]

    kept: list[float] = []
    too_old = 0
    for batch in batches:
        arrived = arrival.sort_out(batch_of(batch))
        windows.add(JudgedBatch.unscored(arrived.readings))
        kept += arrived.readings.value.tolist()
        too_old += len(arrived.too_old)

    assert (kept, too_old) == ([1.0, 3.0], 2)
