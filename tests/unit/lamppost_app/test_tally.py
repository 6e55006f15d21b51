# SPDX-License-Identifier: EUPL-1.2
"""What is counted in columns comes out of the ledger as if it had been booked one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS
from lamppost_app.ledger import OUTCOMES, Ledger
from lamppost_app.tally import Tally

T0 = 497_000 * HOUR_NS
KEYS = [SeriesKey("a", "pm10"), SeriesKey("b", "pm10"), SeriesKey("a", "no2")]
ROWS = st.lists(
    st.tuples(st.integers(0, len(KEYS) - 1), st.sampled_from(["mqtt", "http"])), max_size=8
)
FRAMES = st.lists(
    st.tuples(st.sampled_from(OUTCOMES), st.integers(T0, T0 + 3 * HOUR_NS), ROWS), max_size=6
)


@settings(deadline=None)
@given(FRAMES, st.sets(st.integers(0, 6)))
def test_columns_and_single_bookings_agree(
    frames: list[tuple[str, int, list[tuple[int, str]]]], settled_after: set[int]
) -> None:
    """Whatever the outcome, door and hour, and however often counts are settled on the way."""
    by_rows, by_columns = Ledger(), Ledger()
    counted = Tally(SeriesTable(KEYS))

    for number, (outcome, at, rows) in enumerate(frames):
        for code, door in rows:
            by_rows.count(door, KEYS[code].sensor, at, outcome, 1)
        doors = counted.doors([door for _, door in rows])
        counted.add(outcome, np.array([code for code, _ in rows], np.int32), doors, at)
        if number in settled_after:
            counted.settle(by_columns)
    counted.settle(by_columns)
    counted.settle(by_columns)

    assert by_columns.facts() == by_rows.facts()


def test_series_may_appear_at_any_time() -> None:
    """A sensor seen for the first time after others were counted gets its own row."""
    series, ledger = SeriesTable(KEYS[:1]), Ledger()
    counted = Tally(series)

    counted.add("accepted", np.array([0], np.int32), counted.doors(["mqtt"]), T0)
    code = series.code(SeriesKey("new", "pm10"))
    counted.add("accepted", np.array([code], np.int32), counted.doors(["mqtt"]), T0)
    counted.settle(ledger)

    assert [row["sensor"] for row in ledger.publish(T0)] == ["a", "new"]
