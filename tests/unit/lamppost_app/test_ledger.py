# SPDX-License-Identifier: EUPL-1.2
"""The ledger balances, says what changed, and survives a restart."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS
from lamppost_app.ledger import OUTCOMES, Ledger

T0 = 497_000 * HOUR_NS
BOOKINGS = st.lists(
    st.tuples(
        st.sampled_from(["mqtt", "http"]),
        st.sampled_from(["a", "b", ""]),
        st.integers(T0, T0 + HOUR_NS),
        st.sampled_from(OUTCOMES),
        st.integers(0, 5),
    ),
    max_size=20,
)


def book(ledger: Ledger, bookings: list[tuple[str, str, int, str, int]]) -> None:
    """Book every item where it comes in and where it ends up."""
    for source, sensor, at, outcome, items in bookings:
        ledger.count(source, sensor, at, "received", items)
        ledger.count(source, sensor, at, outcome, items)


@settings(deadline=None)
@given(BOOKINGS)
def test_received_is_always_the_sum_of_the_outcomes(
    bookings: list[tuple[str, str, int, str, int]],
) -> None:
    """In every row and in total, and nothing is booked twice or not at all."""
    ledger = Ledger()

    book(ledger, bookings)
    totals = ledger.totals()
    rows = list(ledger.publish(T0))

    assert totals["received"] == sum(booking[4] for booking in bookings)
    for outcome in OUTCOMES:
        booked = sum(booking[4] for booking in bookings if booking[3] == outcome)
        assert totals[outcome] == booked == sum(row[outcome] for row in rows)
    for row in rows:
        assert row["received"] == sum(row[outcome] for outcome in OUTCOMES)


@settings(deadline=None)
@given(BOOKINGS, BOOKINGS)
def test_counters_are_cumulative(
    first: list[tuple[str, str, int, str, int]], second: list[tuple[str, str, int, str, int]]
) -> None:
    """Keeping the last row of each key equals publishing once at the end."""
    kept: dict[tuple[object, ...], dict[str, object]] = {}
    stepwise, at_once = Ledger(), Ledger()
    ticks = itertools.count(0, MINUTE_NS)

    for bookings in (first, second):
        book(stepwise, bookings)
        for row in stepwise.publish(T0 + next(ticks)):
            kept[row["source"], row["sensor"], row["hour"]] = row
    book(at_once, first + second)

    assert [kept[key] for key in sorted(kept)] == list(at_once.publish(T0))


@settings(deadline=None)
@given(BOOKINGS, BOOKINGS)
def test_restoring_the_facts_and_going_on_equals_never_having_stopped(
    before: list[tuple[str, str, int, str, int]], after: list[tuple[str, str, int, str, int]]
) -> None:
    """The facts go through JSON, as in a snapshot."""
    whole, stopped, restored = Ledger(), Ledger(), Ledger()

    book(whole, before + after)
    book(stopped, before)
    restored.restore(json.loads(json.dumps(stopped.facts())))
    book(restored, after)

    assert list(restored.publish(T0)) == list(whole.publish(T0))
    assert restored.facts() == whole.facts()


def test_items_are_booked_on_the_hour_they_were_received_in() -> None:
    """A whole hour belongs to itself, the nanosecond before to the hour before."""
    ledger = Ledger()

    book(ledger, [("mqtt", "a", T0, "accepted", 2)])
    book(ledger, [("mqtt", "a", T0 - 1, "duplicate", 1)])

    assert list(ledger.publish(T0)) == [
        {
            "source": "mqtt",
            "sensor": "a",
            "hour": T0 - HOUR_NS,
            "received": 1,
            "accepted": 0,
            "duplicate": 1,
            "quarantined": 0,
            "refused": 0,
        },
        {
            "source": "mqtt",
            "sensor": "a",
            "hour": T0,
            "received": 2,
            "accepted": 2,
            "duplicate": 0,
            "quarantined": 0,
            "refused": 0,
        },
    ]


def test_only_what_changed_is_published() -> None:
    """Nothing at all is booked by counting nothing."""
    ledger = Ledger()
    book(ledger, [("mqtt", "a", T0, "accepted", 1)])
    ledger.publish(T0)

    book(ledger, [("mqtt", "a", T0, "accepted", 0)])
    unchanged = ledger.publish(T0 + MINUTE_NS)
    book(ledger, [("mqtt", "b", T0, "accepted", 1)])

    assert list(unchanged) == []
    assert [row["sensor"] for row in ledger.publish(T0 + 2 * MINUTE_NS)] == ["b"]


def test_rows_wait_ten_seconds_to_be_published_again() -> None:
    """Ticks come every second; nothing of what waits is lost."""
    ledger = Ledger()
    book(ledger, [("mqtt", "a", T0, "accepted", 1)])
    ledger.publish(T0)
    book(ledger, [("mqtt", "a", T0, "accepted", 1)])

    too_early = ledger.publish(T0 + 10 * SECOND_NS - 1)
    in_time = ledger.publish(T0 + 10 * SECOND_NS)

    assert list(too_early) == []
    assert [row["accepted"] for row in in_time] == [2]


def test_many_rows_wait_longer_than_few() -> None:
    """A thousand sensors make the wait twenty seconds; however many they are, two minutes do."""
    ledger = Ledger()
    book(ledger, [("mqtt", f"sensor-{number}", T0, "accepted", 1) for number in range(1_000)])
    ledger.publish(T0)

    early, in_time = (ledger.due(T0 + seconds * SECOND_NS) for seconds in (19, 20))
    book(ledger, [("mqtt", f"sensor-{number}", T0, "accepted", 1) for number in range(20_000)])
    ledger.publish(T0 + MINUTE_NS)
    far_too_early, at_last = (ledger.due(T0 + seconds * SECOND_NS) for seconds in (179, 180))

    assert (early, in_time) == (False, True)
    assert (far_too_early, at_last) == (False, True)


def test_a_snapshot_does_not_change_when_rows_are_published() -> None:
    """It books what was counted so far, at some time by the clock on the wall; a replay does not.

    Were the wait to go by it, a replay from an earlier snapshot would publish at other entries.
    """
    whole, looked_at = Ledger(), Ledger()
    fresh = [("mqtt", f"sensor-{number}", T0, "accepted", 1) for number in range(1_000)]
    for ledger in (whole, looked_at):
        ledger.publish(T0)
        book(ledger, fresh)

    restored = Ledger()
    restored.restore(looked_at.facts())
    moments = [T0 + seconds * SECOND_NS for seconds in (9, 10, 11, 19, 20)]

    due = [whole.due(at) for at in moments]
    assert [looked_at.due(at) for at in moments] == due
    assert [restored.due(at) for at in moments] == due


def test_long_closed_hours_are_let_go() -> None:
    """Memory does not grow with the age of the installation; the hour before stays."""
    ledger = Ledger()
    book(ledger, [("mqtt", "a", T0, "accepted", 1)])

    ledger.publish(T0 + HOUR_NS + 60 * SECOND_NS)
    still_held = ledger.totals()["received"]
    ledger.publish(T0 + 4 * HOUR_NS)

    assert still_held == 1
    assert ledger.totals()["received"] == 0


def test_a_row_is_published_before_it_is_let_go() -> None:
    """However long the engine was away."""
    ledger = Ledger()
    book(ledger, [("mqtt", "a", T0, "accepted", 1)])

    assert len(ledger.publish(T0 + 100 * HOUR_NS)) == 1


def test_an_outcome_that_does_not_exist_is_a_mistake() -> None:
    """It would break the balance."""
    with pytest.raises(KeyError):
        Ledger().count("mqtt", "a", T0, "lost", 1)


@settings(deadline=None)
@given(BOOKINGS, st.sampled_from(["a", 'say "hi"\n', "größe", "\ud800", ""]))
def test_the_published_text_is_json_of_the_rows(
    bookings: list[tuple[str, str, int, str, int]], name: str
) -> None:
    """Whatever a sensor calls itself, and whether rows agree in a column or not."""
    ledger = Ledger()
    book(ledger, [*bookings, ("mqtt", name, T0, "accepted", 1)])

    rows = ledger.publish(T0)

    assert json.loads(rows.to_json()) == list(rows)
    assert list(rows) == sorted(rows, key=lambda row: (row["source"], row["sensor"], row["hour"]))
