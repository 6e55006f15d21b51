# SPDX-License-Identifier: EUPL-1.2
"""The table of rows by series and instant, with more series than twenty bits can number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lamppost.shelf import MemoryShelf
from lamppost.times import MINUTE_NS, SECOND_NS
from processors.windows._rows import ordered
from processors.windows._statistics import RAW
from processors.windows._table import Table

START = 1_790_000_000 * SECOND_NS
MANY = [(1 << 20) + 5, (1 << 21) + 5, (1 << 31) - 1]
many = pytest.mark.parametrize("code", MANY)


def rows(*given: tuple[int, int, float]) -> npt.NDArray[Any]:
    """Return readings: series, milliseconds from the start, value."""
    table = np.zeros(len(given), RAW)
    for number, (series, milliseconds, value) in enumerate(given):
        table[number] = (START + milliseconds * 1_000_000, value, series, 0.0, np.nan, 1)
    return table


@many
def test_rows_are_sorted_by_series_however_many_there_are(code: int) -> None:
    """Series and time, not some of the bits of both."""
    found = ordered(rows((code, 0, 1.0), (5, 0, 2.0), (5, 60_000, 3.0), (code, -60_000, 4.0)))

    assert found["series"].tolist() == [5, 5, code, code]
    assert found["value"].tolist() == [2.0, 3.0, 4.0, 1.0]


@many
def test_the_newest_version_wins_within_its_own_series(code: int) -> None:
    """Even where readings come many times a second."""
    versions = [(5, 0, 1.0), (code, 0, 2.0), (code, 1, 3.0), (5, 0, 4.0), (code, 1, 5.0)]

    found = ordered(rows(*versions))

    assert found[["series", "value"]].tolist() == [(5, 4.0), (code, 2.0), (code, 5.0)]


@many
def test_a_series_is_not_mistaken_for_one_far_away(code: int) -> None:
    """The same instants of two series are two rows, in one chunk or in two."""
    together, apart = Table(RAW, MemoryShelf()), Table(RAW, MemoryShelf())
    together.insert(ordered(rows((5, 0, 1.0), (5, 7, 2.0), (code, 0, 3.0), (code, 7, 4.0))))
    apart.insert(rows((5, 0, 1.0), (5, 7, 2.0)))
    apart.insert(rows((code, 0, 3.0), (code, 7, 4.0)))
    asked = np.array([code, 5, code, 6, code - 1], np.int32)
    time = START + np.array([7, 7, 0, 0, 0], np.int64) * 1_000_000

    for table in (together, apart):
        held, found = table.find(asked, time)
        assert held.tolist() == [True, True, True, False, False]
        assert found["value"].tolist() == [4.0, 2.0, 3.0, 0.0, 0.0]


@many
def test_a_span_of_time_is_that_of_its_series(code: int) -> None:
    """Half-open, in whole seconds."""
    table = Table(RAW, MemoryShelf())
    table.insert(ordered(rows((5, 0, 1.0), (code, -1, 2.0), (code, 0, 3.0), (code, 59_999, 4.0))))
    table.insert(rows((code, 60_000, 5.0)))
    start = np.array([START])

    found = table.between(np.array([code], np.int32), start, start + MINUTE_NS)

    assert found["value"].tolist() == [3.0, 4.0]
