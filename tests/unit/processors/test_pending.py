# SPDX-License-Identifier: EUPL-1.2
"""Rows that wait for their windows, against a plain list of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.windows import _statistics as statistics
from processors.windows._kinds import Kinds
from processors.windows._pending import Pending
from processors.windows._rows import IntArray, RowArray, ordered
from processors.windows._statistics import RAW
from tests.unit.lamppost.strategies import LAW

from .test_event_time import table

LENGTH = 10
MINUTE, QUARTER = 60, 900
STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99)), max_size=40),
        st.lists(st.integers(0, 110), min_size=4, max_size=4),
    ),
    max_size=12,
)


def ends(rows: RowArray) -> IntArray:
    """Return the end of each row's window."""
    found: IntArray = rows["time"] // LENGTH * LENGTH + LENGTH
    return found


def raw(pairs: list[tuple[int, int]]) -> RowArray:
    """Return rows of series and time."""
    rows = np.zeros(len(pairs), RAW)
    rows["series"] = [series for series, _ in pairs]
    rows["time"] = [time for _, time in pairs]
    rows["value"] = np.arange(len(pairs))
    return rows


@LAW
@given(STEPS)
def test_rows_come_out_once_and_in_order_when_their_window_ends(
    steps: list[tuple[list[tuple[int, int]], list[int]]],
) -> None:
    """Through growth, moves and emptiness."""
    pending, waiting = Pending(RAW, ends), []
    for pairs, clock in steps:
        rows = raw(pairs)
        pending.add(rows, 4)
        waiting += rows.tolist()

        taken = pending.take(np.array(clock, np.int64))

        due = [row for row in waiting if row[0] // LENGTH * LENGTH + LENGTH <= clock[row[2]]]
        waiting = [row for row in waiting if row not in due]
        assert taken.tolist() == due
        assert pending.rows().tolist() == waiting
        assert len(pending) == len(waiting)


@LAW
@given(
    st.dictionaries(
        st.integers(0, 59), st.tuples(st.floats(), st.sampled_from([1, 2, 3, 4, 9])), min_size=1
    )
)
def test_windows_of_single_readings_are_those_of_their_states(
    given_readings: dict[int, tuple[float, int]],
) -> None:
    """Bit by bit, also where readings do not enter or are absurd."""
    included = np.zeros(256, np.bool_)
    included[[1, 2, 3]] = True
    kinds = Kinds(table(3), time_weighted=("pm2_5", "no2"))
    rows = np.zeros(len(given_readings), RAW)
    rows["series"] = [minute % 3 for minute in given_readings]
    rows["time"] = [minute * MINUTE + 7 for minute in given_readings]
    rows["value"] = [value for value, _ in given_readings.values()]
    rows["flag"] = [flag for _, flag in given_readings.values()]
    rows["pace"] = 50_000
    rows = ordered(rows)

    states = statistics.of_readings(rows, MINUTE, included, kinds)
    merged = statistics.of_states(states, QUARTER, kinds)
    straight = statistics.of_readings(rows, QUARTER, included, kinds)

    for name in statistics.STATE.names or ():
        assert merged[name].tobytes() == straight[name].tobytes(), name
