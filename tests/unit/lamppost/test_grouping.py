# SPDX-License-Identifier: EUPL-1.2
"""Grouping by series against a plain loop over rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lamppost.grouping import Groups

from .strategies import INT64, LAW

CODES = st.lists(st.integers(0, 5), max_size=30).map(lambda codes: np.array(codes, np.int32))
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(-5, 5) | INT64), max_size=30)
CARRIED = st.lists(st.integers(-5, 5) | INT64, min_size=5, max_size=5)


def sorted_rows(rows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return rows by series, order of arrival kept: Python's own sort is stable."""
    return sorted(rows, key=lambda row: row[0])


@LAW
@given(CODES)
def test_rows_are_sorted_by_series_and_keep_their_order_within(codes: np.ndarray) -> None:
    """As a stable sort does."""
    groups = Groups.by_series(codes)

    expected = sorted(range(len(codes)), key=lambda row: (codes[row], row))
    assert groups.order.tolist() == expected
    assert groups.series.tolist() == sorted(codes.tolist())
    assert groups.series.dtype == np.int32


def test_a_read_only_column_is_sorted_once_and_no_other_column_is_mistaken_for_it() -> None:
    """A column that can still be written to is sorted anew each time."""
    codes = np.array([3, 1, 2], np.int32)
    locked = codes.copy()
    locked.flags.writeable = False

    first = Groups.by_series(locked)
    codes[0] = 0

    assert Groups.by_series(locked) is first
    assert Groups.by_series(codes).series.tolist() == [0, 1, 2]
    codes[1] = 5
    assert Groups.by_series(codes).series.tolist() == [0, 2, 5]
    assert Groups.by_series(locked).series.tolist() == [1, 2, 3]


@LAW
@given(CODES)
def test_the_edges_of_groups_are_where_the_series_changes(codes: np.ndarray) -> None:
    """First, last, number and code of every group."""
    groups = Groups.by_series(codes)

    series = sorted(codes.tolist())
    present = sorted(set(series))
    assert groups.codes.tolist() == present
    assert groups.starts.tolist() == [series.index(code) for code in present]
    assert groups.lasts.tolist() == [len(series) - 1 - series[::-1].index(code) for code in present]
    assert groups.group.tolist() == [present.index(code) for code in series]
    assert np.flatnonzero(groups.is_first).tolist() == groups.starts.tolist()


@LAW
@given(ROWS, CARRIED)
def test_the_predecessor_is_the_one_in_the_same_series(
    rows: list[tuple[int, int]], carried: list[int]
) -> None:
    """The first row of a series follows what was carried over from before."""
    groups = Groups.by_series(np.array([row[0] for row in rows], np.int32))
    column = np.array([row[1] for row in sorted_rows(rows)], np.int64)
    before = np.array(carried, np.int64)[groups.codes]

    found = groups.previous_int(column, before)
    as_floats = groups.previous(column.astype(np.float64), before.astype(np.float64))

    newest = dict(enumerate(carried))
    expected = []
    for code, value in sorted_rows(rows):
        expected.append(newest[code])
        newest[code] = value
    assert found.tolist() == expected
    assert as_floats.tolist() == [float(value) for value in expected]


@LAW
@given(ROWS, CARRIED)
def test_the_running_maximum_never_sees_another_series(
    rows: list[tuple[int, int]], carried: list[int]
) -> None:
    """Over the whole range of int64, where adding an offset to each group would overflow."""
    groups = Groups.by_series(np.array([row[0] for row in rows], np.int32))
    column = np.array([row[1] for row in sorted_rows(rows)], np.int64)

    found = groups.running_max(column, np.array(carried, np.int64)[groups.codes])

    highest = dict(enumerate(carried))
    expected = []
    for code, value in sorted_rows(rows):
        expected.append(highest[code])
        highest[code] = max(highest[code], value)
    assert found.tolist() == expected


@LAW
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30))
def test_the_latest_marked_row_is_one_of_the_same_series(rows: list[tuple[int, bool]]) -> None:
    """The row itself counts; before the first marked one there is none."""
    rows = sorted(rows, key=lambda row: row[0])
    groups = Groups.by_series(np.array([code for code, _ in rows], np.int32))

    found = groups.latest(np.array([marked for _, marked in rows], np.bool_))

    expected, latest = [], dict.fromkeys(range(5), -1)
    for position, (code, marked) in enumerate(rows):
        if marked:
            latest[code] = position
        expected.append(latest[code])
    assert found.tolist() == expected


@LAW
@given(CODES)
def test_rounds_take_one_row_of_every_series_at_a_time(codes: np.ndarray) -> None:
    """The first of each, then the second of each, until all rows had their turn."""
    groups = Groups.by_series(codes)
    seen: dict[int, int] = {}
    expected: dict[int, list[int]] = {}
    for row, code in enumerate(groups.series.tolist()):
        turn = seen[code] = seen.get(code, -1) + 1
        expected.setdefault(turn, []).append(row)

    rounds = [rows.tolist() for rows in groups.rounds()]

    assert rounds == [expected[turn] for turn in sorted(expected)]


def test_no_rows_make_no_groups() -> None:
    """An empty frame is an ordinary frame."""
    groups = Groups.by_series(np.empty(0, np.int32))
    nothing = np.empty(0, np.int64)

    assert list(groups.rounds()) == []
    assert (len(groups.starts), len(groups.lasts), len(groups.codes)) == (0, 0, 0)
    assert len(groups.previous_int(nothing, nothing)) == 0
    assert len(groups.running_max(nothing, nothing)) == 0
