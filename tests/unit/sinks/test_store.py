# SPDX-License-Identifier: EUPL-1.2
"""The store keeps one row per key, the newest, however entries are delivered."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamppost import log
from lamppost.batch import JudgedBatch
from lamppost.frames import arrow_bytes
from lamppost.log import Entry
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import DAY_NS, MINUTE_NS
from sinks.store import Store, StoreSettings
from sinks.store_layout import TABLES
from tests.outbox_entries import START_NS, readings_entry
from tests.unit.portal.seeded_city import (
    aggregates,
    alert,
    alerts_body,
    city_entries,
    columns_body,
    judged,
)

NOW = 1_763_762_400_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store(StoreSettings(path=tmp_path / "store.duckdb"))
    yield opened
    opened.close()


def content(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table, in one order."""
    return {
        table.name: sorted(
            (tuple(row.values()) for row in store.reader.rows(f"SELECT * FROM {table.name}")),
            key=repr,
        )
        for table in TABLES
    }


def reading(seq: int, value: float, revision: int = 0, time: int = NOW) -> Entry:
    """Return an entry with one reading of series 0."""
    batch = judged(0, np.array([time]), np.array([value]), revision)
    return Entry(seq, log.READINGS, NOW, columns_body(batch.to_arrow()))


def stored_values(store: Store) -> list[tuple[int, float]]:
    """Return revision and value of all readings, by time."""
    rows = store.reader.rows("SELECT revision, value FROM readings ORDER BY time")
    return [(row["revision"], row["value"]) for row in rows]


def test_a_city_is_stored_whole_and_the_cursor_with_it(store: Store) -> None:
    """Every kind of entry arrives in its table."""
    entries = city_entries(NOW)

    store.write(entries, entries[-1].seq)

    found = content(store)
    assert store.cursor() == len(entries)
    empty = {name for name, rows in found.items() if not rows}
    assert empty == {"aggregates_history", "indices_history"}
    assert len(found["latest_readings"]) == 5
    assert len(found["latest_aggregates"]) == 10


def test_missing_numbers_are_null(store: Store) -> None:
    """NaN does not survive into queries."""
    entries = city_entries(NOW)

    store.write(entries, entries[-1].seq)

    assert store.reader.number("SELECT count(*) FROM indices WHERE value IS NULL") == 1
    assert store.reader.number("SELECT count(*) FROM indices WHERE isnan(value)") == 0


def test_a_higher_revision_replaces_and_a_lower_one_does_not(store: Store) -> None:
    """The newest revision of a key wins, whatever the order of arrival."""
    store.write([reading(1, 5.0, revision=1)], 1)

    store.write([reading(2, 4.0, revision=0)], 2)
    store.write([reading(3, 6.0, revision=2), reading(4, 7.0, revision=1)], 4)

    assert stored_values(store) == [(2, 6.0)]


def test_a_later_entry_of_the_same_revision_replaces(store: Store) -> None:
    """Without a higher revision, the order of the outbox decides, also when it is replayed."""
    first, second = reading(1, 1.0), reading(2, 2.0)

    store.write([first, second], 2)
    store.write([first], 2)

    assert stored_values(store) == [(0, 2.0)]


def test_the_latest_reading_is_the_newest_by_time_not_by_arrival(store: Store) -> None:
    """A late reading does not become the latest."""
    store.write([reading(1, 1.0, time=NOW)], 1)
    store.write([reading(2, 2.0, time=NOW - MINUTE_NS)], 2)

    latest = store.reader.row("SELECT value, time FROM latest_readings")

    assert latest == {"value": 1.0, "time": NOW}


ACTIONS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2), st.integers(0, 99)),
    min_size=1,
    max_size=12,
)


def _history(actions: list[tuple[int, int, int, int]]) -> list[Entry]:
    """Return a small outbox of series, readings, windows, alerts and counters."""
    keys = [SeriesKey(f"s{number}", "pm2_5") for number in range(3)]
    entries = [Entry(1, log.SERIES, NOW, arrow_bytes(SeriesTable(keys).to_arrow()))]
    for series, minute, revision, value in actions:
        time = np.array([NOW + minute * MINUTE_NS])
        rows = JudgedBatch.concat([judged(series, time, np.array([float(value)]), revision)] * 2)
        windows = replace(
            aggregates(series, time, MINUTE_NS, float(value)), revision=np.array([revision])
        )
        counts = {"source": "mqtt", "sensor": f"s{series}", "hour": NOW, "received": len(entries),
                  "accepted": value, "duplicate": 0, "quarantined": 0, "refused": 0}  # fmt: skip
        kind = ("firing", "acknowledged", "resolved")[revision]
        bodies = (
            (log.READINGS, columns_body(rows.to_arrow())),
            (log.AGGREGATES, columns_body(windows.to_arrow())),
            (log.ALERTS, alerts_body(alert(f"a{series}", NOW + value, kind=kind))),
            (log.LEDGER, json.dumps([counts]).encode()),
        )
        for name, body in bodies:
            entries.append(Entry(len(entries) + 1, name, NOW, body))
    return entries


@given(
    actions=ACTIONS,
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    repeat=st.integers(0, 50),
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_delivering_any_prefix_twice_in_any_batches_gives_the_same_content(
    tmp_path: Path,
    actions: list[tuple[int, int, int, int]],
    sizes: list[int],
    repeat: int,
) -> None:
    """At-least-once delivery and exactly-once content."""
    entries = _history(actions)
    whole = Store(StoreSettings(path=tmp_path / "whole.duckdb"))
    pieces = Store(StoreSettings(path=tmp_path / "pieces.duckdb"))

    whole.write(entries, entries[-1].seq)
    for replayed in (entries[:repeat], entries):
        rest, turn = list(replayed), 0
        while rest:
            size = sizes[turn % len(sizes)]
            pieces.write(rest[:size], rest[:size][-1].seq)
            rest, turn = rest[size:], turn + 1
    first, second = content(whole), content(pieces)
    for used in (whole, pieces):
        used.close()
    for path in tmp_path.glob("*.duckdb*"):
        path.unlink()

    assert first == second


def test_a_failed_write_leaves_neither_rows_nor_cursor(store: Store) -> None:
    """Rows and cursor are one transaction."""
    broken = Entry(2, log.ALERTS, NOW, b'[{"at": "no number"}]')

    with pytest.raises(Exception, match="int"):
        store.write([reading(1, 1.0), broken], 2)

    assert store.cursor() == 0
    assert stored_values(store) == []
    store.write([reading(1, 1.0)], 1)
    assert stored_values(store) == [(0, 1.0)]


def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    """The cursor survives with the data."""
    settings_ = StoreSettings(path=tmp_path / "store.duckdb")
    first = Store(settings_)
    first.write([reading(1, 1.0)], 17)
    first.close()

    again = Store(settings_)

    assert again.cursor() == 17
    assert stored_values(again) == [(0, 1.0)]
    again.close()


def test_readers_in_other_threads_see_only_whole_writes(store: Store) -> None:
    """A reader never sees half a transaction while the writer goes on."""
    odd: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            count = store.reader.number("SELECT count(*) FROM readings")
            if count % 100:
                odd.append(count)

    watchers = [threading.Thread(target=watch) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    for seq in range(1, 21):
        times = NOW + (seq * 100 + np.arange(100)) * MINUTE_NS
        batch = judged(0, times, np.full(100, 1.0))
        store.write([Entry(seq, log.READINGS, NOW, columns_body(batch.to_arrow()))], seq)
    done.set()
    for watcher in watchers:
        watcher.join()

    assert odd == []
    assert store.reader.number("SELECT count(*) FROM readings") == 2000


def test_an_acknowledged_alert_that_fires_again_is_open(store: Store) -> None:
    """A new firing needs a new acknowledgement."""
    events = alerts_body(
        alert("a", NOW), alert("a", NOW + 1, kind="acknowledged", by="Ana", comment="seen")
    )
    store.write([Entry(1, log.ALERTS, NOW, events)], 1)
    assert store.reader.row("SELECT state, acknowledged_by FROM alerts") == {
        "state": "acknowledged",
        "acknowledged_by": "Ana",
    }

    store.write([Entry(2, log.ALERTS, NOW, alerts_body(alert("a", NOW + 2)))], 2)

    assert store.reader.row("SELECT state, acknowledged_by FROM alerts") == {
        "state": "open",
        "acknowledged_by": None,
    }


def test_dropped_messages_lose_their_bytes_and_keep_their_row(store: Store) -> None:
    """However the entries are cut into writes."""
    entries = city_entries(NOW)
    (held,) = [entry for entry in entries if entry.kind == log.QUARANTINE]
    decided = {"message": held.seq, "row": 0, "state": "dropped", "at": NOW, "by": "a",
               "reason": "noise"}  # fmt: skip
    store.write(entries, entries[-1].seq)
    store.write([Entry(99, log.QUARANTINE_STATES, NOW, json.dumps([decided]).encode())], 99)
    store.write([held], 99)

    rows = store.reader.rows("SELECT payload, code FROM quarantine ORDER BY position")
    assert [bool(row["payload"]) for row in rows] == [False, True]
    assert rows[0]["code"] == "malformed"


def test_what_retention_deletes_changes_the_state(tmp_path: Path) -> None:
    """Also without a new entry, when the last one is stored again after a restart."""
    path = tmp_path / "store.duckdb"
    now = START_NS + 10 * DAY_NS
    entries = [readings_entry(1, time=START_NS + 8 * DAY_NS)._replace(at=now)]
    made = Store(StoreSettings(path=path, readings_days=7))
    made.write(entries, 1)
    before, held = made.reader.state(), made.reader.number("SELECT count(*) FROM readings")
    made.close()

    made = Store(StoreSettings(path=path, readings_days=1))
    same = made.reader.state()
    made.write(entries, 1)
    after, left = made.reader.state(), made.reader.number("SELECT count(*) FROM readings")
    made.close()

    assert before == same != after
    assert (held, left) == (1, 0)
