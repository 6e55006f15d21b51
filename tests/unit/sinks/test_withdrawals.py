# SPDX-License-Identifier: EUPL-1.2
"""A point is withdrawn when its revision lacks what it may have had, and only then."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lamppost.log import Entry
from lamppost.series import SeriesKey
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS
from sinks.series_names import SeriesNames
from sinks.withdrawals import Withdrawals
from tests.outbox_entries import (
    NAN,
    START_NS,
    aggregates_entry,
    indices_entry,
    readings_entry,
    rules_entry,
    series_entry,
)

KEYS = [SeriesKey("a", "no2"), SeriesKey("b", "no2"), SeriesKey("a", "wind_direction")]


def finder(*keys: SeriesKey) -> Withdrawals:
    """Return one that knows series and rules."""
    names = SeriesNames()
    names.learn(series_entry(1, keys or KEYS))
    names.learn(rules_entry(2))
    return Withdrawals(names)


def rows(found: Withdrawals, *entries: Entry) -> list[list[int]]:
    """Return the rows withdrawn for each entry."""
    return [[point.row for point in found.of(entry)] for entry in entries]


def test_a_first_revision_withdraws_nothing() -> None:
    """There is nothing it could replace."""
    assert rows(finder(), aggregates_entry(3, mean=[NAN, 1.0])) == [[]]


def test_a_revision_without_a_certain_field_withdraws_its_point() -> None:
    """Mean, deviation and the like are there as long as readings are."""
    entry = aggregates_entry(
        3, revision=[0, 1, 1, 2], mean=[NAN, NAN, 5.0, 5.0], sd=[NAN, NAN, 1, NAN]
    )

    points = finder().of(entry)

    assert [point.row for point in points] == [1, 3]
    assert points[0].tags == {"station": "a", "quantity": "no2", "window": "1h"}
    assert (points[0].measurement, points[0].at) == ("aggregates", START_NS)


def test_a_statistic_is_missed_where_its_quantity_and_window_have_had_it() -> None:
    """Not in other quantities, nor in other windows of the same."""
    found = finder()
    revised = aggregates_entry(4, series=[0, 1, 2, 0], length=[HOUR_NS] * 3 + [DAY_NS], revision=1)

    before = rows(found, revised)
    found.of(aggregates_entry(3, series=[1], harmonic=[7.0]))

    assert before == [[]]
    assert rows(found, revised) == [[0, 1]]


def test_rows_of_one_entry_know_of_each_other() -> None:
    """A statistic first seen beside a row that lacks it is missed there."""
    entry = aggregates_entry(3, series=[0, 1], revision=[1, 1], q50=[NAN, 4.0])

    assert rows(finder(), entry) == [[0]]


def test_windows_are_named_as_in_the_lines() -> None:
    """Those of the city's calendar too."""
    entry = aggregates_entry(
        3, length=[MINUTE_NS, DAY_NS, DAY_NS], calendar=[0, 0, 1], revision=1, mean=NAN
    )

    assert [point.tags["window"] for point in finder().of(entry)] == ["1min", "24h", "day"]


def test_an_index_is_named_by_the_rules() -> None:
    """As its line does."""
    (point,) = finder().of(indices_entry(3, revision=[1], value=[NAN]))

    assert point.tags["index"] == "us_aqi"
    assert (point.measurement, point.at) == ("indices", START_NS + HOUR_NS)


def test_only_readings_whose_number_is_none_now_are_withdrawn() -> None:
    """A corrected number may be none, and a later verdict may say that the number was none."""
    entry = readings_entry(3, value=[NAN, NAN, NAN, 4.0, 4.0], revision=[0, 1, 2, 2, 1])

    assert rows(finder(), entry) == [[1, 2]]


def test_a_second_row_about_one_point_is_marked() -> None:
    """The first may have written what the second lacks."""
    entry = readings_entry(3, time=START_NS + np.array([0, 1, 0]), value=NAN, revision=2)

    assert [point.again for point in finder().of(entry)] == [False, False, True]


def test_a_series_that_is_part_of_another_is_left_alone() -> None:
    """By its tags the other's points would go as well; that is counted."""
    found = finder(SeriesKey("a", "no2"), SeriesKey("a", "no2", "lane=1"), SeriesKey("", "no2"))
    entry = aggregates_entry(3, series=[0, 1, 2], revision=1, mean=NAN)

    assert rows(found, entry) == [[1]]
    assert found.unclear == 2


def test_series_that_appear_later_are_known() -> None:
    """The table of names grows while we run."""
    names = SeriesNames()
    names.learn(series_entry(1, KEYS[:1]))
    found = Withdrawals(names)
    found.of(aggregates_entry(2))
    names.learn(series_entry(3, KEYS, start=1))

    assert rows(found, aggregates_entry(4, series=[2], revision=[1], mean=NAN)) == [[0]]


def test_other_kinds_and_empty_entries_withdraw_nothing() -> None:
    """There is no row to look at."""
    empty = aggregates_entry(3, series=np.empty(0), mean=np.empty(0))

    assert rows(finder(), empty, Entry(4, "ledger", START_NS, b"[]")) == [[], []]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.sampled_from([NAN, 1.0]), st.booleans()),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 11),
)
def test_no_withdrawal_depends_on_anything_but_what_came_before(
    table: list[tuple[int, int, float, bool]], cut: int
) -> None:
    """A plain model: a revised row is withdrawn if it lacks what its kind has had by then."""

    def entry(part: list[tuple[int, int, float, bool]]) -> Entry:
        series, revision, rate, whole = (list(column) for column in zip(*part, strict=True))
        mean = [1.0 if there else NAN for there in whole]
        return aggregates_entry(3, series=series, revision=revision, rate=rate, mean=mean)

    found, seen = finder(), set()
    for part in (table[:cut], table[cut:]):
        if not part:
            continue
        seen |= {KEYS[code].quantity for code, _, rate, _ in part if rate == 1.0}
        expected = [
            row
            for row, (code, revision, rate, whole) in enumerate(part)
            if revision and (not whole or (rate != 1.0 and KEYS[code].quantity in seen))
        ]
        assert rows(found, entry(part)) == [expected]
