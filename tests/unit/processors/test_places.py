# SPDX-License-Identifier: EUPL-1.2
"""Looking up rows by series and time, against a plain look at every row."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.windows import _places
from processors.windows._due import WINDOW
from processors.windows._places import Places, inside
from processors.windows._rows import IntArray, RowArray, ordered
from processors.windows._statistics import RAW

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(-20, 20)), max_size=60)
SPANS = st.lists(
    st.tuples(st.integers(-1, 6), st.integers(-25, 25), st.integers(0, 20)), max_size=20
)
EITHER_WAY = pytest.mark.parametrize("scanned", [0, 1 << 20], ids=["halving", "counting"])
settled = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def table(rows: list[tuple[int, int]]) -> RowArray:
    """Return rows sorted by series and time, each once."""
    made = np.zeros(len(rows), RAW)
    made["series"] = [series for series, _ in rows]
    made["time"] = [time for _, time in rows]
    return ordered(made)


def pairs(rows: RowArray) -> list[tuple[int, int]]:
    """Return series and time of each row."""
    return list(zip(rows["series"].tolist(), rows["time"].tolist(), strict=True))


@EITHER_WAY
@settled
@given(rows=ROWS, spans=SPANS)
def test_a_cut_has_the_rows_of_each_span(
    rows: list[tuple[int, int]],
    spans: list[tuple[int, int, int]],
    scanned: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Span after span, whether few rows are counted or many are halved."""
    monkeypatch.setattr(_places, "_SCANNED", scanned)
    found = table(rows)
    series, start, length = np.array(spans, np.int64).reshape(-1, 3).T

    cut = Places.of(found).cut(found, series.astype(np.int32), start, start + length)

    assert pairs(cut) == [
        (code, time)
        for asked, begin, size in spans
        for code, time in pairs(found)
        if code == asked and begin <= time < begin + size
    ]


@EITHER_WAY
@settled
@given(rows=ROWS, asked=ROWS)
def test_an_instant_is_found_where_it_stands(
    rows: list[tuple[int, int]],
    asked: list[tuple[int, int]],
    scanned: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Position 0 where it is not there."""
    monkeypatch.setattr(_places, "_SCANNED", scanned)
    found = table(rows)
    series, time = np.array(asked, np.int64).reshape(-1, 2).T

    there, at = Places.of(found).locate(found, series.astype(np.int32), time)

    known = pairs(found)
    assert there.tolist() == [pair in known for pair in asked]
    assert at.tolist() == [known.index(pair) if pair in known else 0 for pair in asked]


@settled
@given(rows=ROWS, starts=st.sets(st.tuples(st.integers(0, 5), st.integers(-5, 5)), max_size=20))
def test_overlapping_windows_each_have_all_their_rows(
    rows: list[tuple[int, int]], starts: set[tuple[int, int]]
) -> None:
    """Though rows are fetched once for all windows they lie in, and never beyond them."""
    found = table(rows)
    windows = np.zeros(len(starts), WINDOW)
    windows["series"] = [series for series, _ in sorted(starts)]
    windows["time"] = [4 * start for _, start in sorted(starts)]
    windows["length"] = 12

    def between(series: np.ndarray, start: IntArray, end: IntArray) -> RowArray:
        spans = sorted(zip(series.tolist(), start.tolist(), end.tolist(), strict=True))
        assert all(
            one[0] != other[0] or one[2] <= other[1] for one, other in itertools.pairwise(spans)
        )
        return Places.of(found).cut(found, series, start, end)

    got, window = inside(windows, between)

    expected = [
        (number, pair)
        for number, (series, start) in enumerate(sorted(starts))
        for pair in pairs(found)
        if pair[0] == series and 4 * start <= pair[1] < 4 * start + 12
    ]
    assert list(zip(window.tolist(), pairs(got), strict=True)) == expected
