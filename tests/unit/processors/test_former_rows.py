# SPDX-License-Identifier: EUPL-1.2
"""Rows of an earlier layout, in memory, in a snapshot and on the shelf, go on as rows of today."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lamppost.shelf import MemoryShelf
from lamppost.times import HOUR_NS, MINUTE_NS
from processors.windows import _accounted as accounted
from processors.windows._former_rows import brought_up
from processors.windows._frames import Frames
from processors.windows._statistics import RAW, STATE
from processors.windows._table import Table

FORMER_RAW = np.dtype(
    [("time", "i8"), ("value", "f8"), ("cover", "i8"), ("series", "i4"), ("hold", "f4"),
     ("beside", "f4"), ("flag", "u1")],
    align=True,
)  # fmt: skip
FORMER_STATE = np.dtype(
    [("time", "i8"), ("series", "i4"), ("count", "i8"), ("cover", "i8"), ("first_at", "i8")],
    align=True,
)


def former_readings() -> npt.NDArray[Any]:
    """Return three readings, a minute apart."""
    rows = np.zeros(3, FORMER_RAW)
    rows["time"] = np.arange(3) * MINUTE_NS
    rows["value"] = [1.0, 2.0, 3.0]
    rows["cover"] = MINUTE_NS
    rows["flag"] = 1
    return rows


def test_the_time_readings_accounted_for_becomes_their_pace() -> None:
    """And everything else stays what it was, field by field."""
    rows = brought_up(former_readings(), RAW)

    assert rows["pace"].tolist() == [60_000] * 3
    assert rows["value"].tolist() == [1.0, 2.0, 3.0]
    assert rows["time"].tolist() == [0, MINUTE_NS, 2 * MINUTE_NS]
    assert rows["flag"].tolist() == [1, 1, 1]


def test_rows_of_today_are_handed_back_as_they_are() -> None:
    """Without a copy."""
    rows = np.zeros(3, RAW)

    assert brought_up(rows, RAW) is rows


def test_what_lies_on_the_shelf_is_found_and_joined_with_what_came_since() -> None:
    """A run of the former layout beside one of today's."""
    shelf = MemoryShelf()
    former = Table(FORMER_RAW, shelf)
    former.insert(former_readings())
    former.spill()
    table = Table(RAW, shelf)
    table.restore(former.snapshot())
    newer = np.zeros(1, RAW)
    newer["time"], newer["pace"] = 3 * MINUTE_NS, 60_000
    table.insert(newer)

    found = table.between(np.zeros(1, np.int32), np.zeros(1, np.int64), np.array([HOUR_NS]))

    assert found["pace"].tolist() == [60_000] * 4
    assert table.find(np.zeros(1, np.int32), np.array([MINUTE_NS]))[1]["value"].tolist() == [2.0]


def test_a_former_state_is_covered_as_it_was_alone_and_beside_one_of_today() -> None:
    """All of its time lies inside it: nothing is added at its ends, or between it and the next."""
    former = np.zeros(1, FORMER_STATE)
    former["count"], former["cover"] = 40, 40 * MINUTE_NS
    after = np.zeros(1, STATE)
    after["time"] = after["from_at"] = after["until_at"] = HOUR_NS
    after["from_pace"] = after["until_pace"] = 60_000
    after["from_enters"] = after["until_enters"] = True
    state = brought_up(former, STATE)
    whole = np.zeros(1, STATE)

    accounted.merge(np.concatenate([state, after]), Frames.of(np.zeros(2, np.int64)), whole)

    start, end = np.zeros(1, np.int64), np.array([HOUR_NS])
    assert accounted.totals(state, start, end)[0].tolist() == [40 * MINUTE_NS]
    cover, due = accounted.totals(state, start, end)
    assert accounted.expected(state, cover, due, end - start).tolist() == [60.0]
    assert accounted.totals(whole, start, end + HOUR_NS)[0].tolist() == [42 * MINUTE_NS]
