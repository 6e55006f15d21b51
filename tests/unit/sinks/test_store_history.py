# SPDX-License-Identifier: EUPL-1.2
"""The store keeps what was published before, each kind for its time, and lies in good order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost import log
from lamppost.batch import DAY, FIXED, MONTH
from lamppost.log import Entry
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS
from lamppost_app.portal import queries_api
from lamppost_app.portal.queries_data import DataFilter
from sinks.store import Store, StoreSettings
from sinks.store_retention import RESOLUTIONS, checked_days
from tests.unit.portal.seeded_city import aggregates, city_entries, columns_body
from tests.unit.sinks.store_cases import HOUR, NOW, hourly, many_readings

MakeStore = Callable[..., Store]


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[MakeStore]:
    """Make stores with their own settings, each with the names of a small city."""
    stores: list[Store] = []

    def make(**settings: object) -> Store:
        path = tmp_path / f"{len(stores)}.duckdb"
        made = Store(StoreSettings.model_validate({"path": path, **settings}))
        stores.append(made)
        made.write(city_entries(NOW)[:3], 3)
        return made

    yield make
    for store in stores:
        store.close()


def revisions(
    store: Store, *, length: int = HOUR_NS, calendar: int = FIXED, at: int | None = None
) -> list[tuple[int, int, int | None]]:
    """Return revision, publication and replacement of a window of the first series.

    With ``at``, only of what was published at that instant and not yet replaced.
    """
    rows = queries_api.revisions(
        store.reader,
        ("aq-001", "pm2_5", ""),
        window=(calendar, length),
        start=HOUR,
        after=(-1, -1),
        limit=99,
    ).to_pylist()
    found = [(row["revision"], row["published"], row["replaced_at"]) for row in rows]
    if at is None:
        return found
    return [row for row in found if row[1] <= at and (row[2] is None or row[2] > at)]


def test_every_revision_of_an_hour_can_be_asked_for(make_store: MakeStore) -> None:
    """With when it was published and replaced; the table of windows has only the newest."""
    store = make_store()
    store.write([hourly(4), hourly(5, at=NOW + 5, revision=1)], 5)
    store.write([hourly(6, at=NOW + 9, revision=2)], 6)

    found = revisions(store)

    assert found == [(0, NOW, NOW + 5), (1, NOW + 5, NOW + 9), (2, NOW + 9, None)]
    assert store.reader.rows("SELECT revision FROM aggregates") == [{"revision": 2}]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=4))
def test_telling_entries_again_in_other_batches_changes_nothing(
    spans: list[tuple[int, int]],
) -> None:
    """After a crash or a restore a store is told again what it has, beside what it has not."""
    entries = [hourly(seq, at=NOW + seq, revision=seq - 4) for seq in range(4, 10)]
    said = [(row.seq - 4, row.at, row.at + 1) for row in entries]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(StoreSettings(path=Path(folder) / "store.duckdb"))
        store.write(city_entries(NOW)[:3], 3)
        end = 0
        for start, size in [*spans, (0, 6)]:
            # Entries come in order, and none is left out.
            part = entries[min(start, end) : min(start, end) + size]
            store.write(part, part[-1].seq)
            end = max(end, part[-1].seq - 3)
        found = revisions(store)
        store.close()

    assert found == [*said[:-1], (*said[-1][:2], None)]


@pytest.mark.parametrize(("at", "revision"), [(0, 0), (4, 0), (5, 1), (8, 1), (9, 2), (99, 2)])
def test_what_was_published_at_an_instant_is_one_revision(
    make_store: MakeStore, at: int, revision: int
) -> None:
    """From its publication until it is replaced."""
    store = make_store()
    for seq, (number, later) in enumerate(((0, 0), (1, 5), (2, 9)), start=4):
        store.write([hourly(seq, at=NOW + later, revision=number)], seq)

    assert [row[0] for row in revisions(store, at=NOW + at)] == [revision]
    assert revisions(store, at=NOW - 1) == []


def test_an_hour_of_the_clock_and_a_day_of_the_city_are_two_windows(make_store: MakeStore) -> None:
    """Length and calendar are part of the key; a day of 24 h is not "24h"."""
    store = make_store()
    fixed = hourly(4, length=DAY_NS)
    of_city = hourly(5, length=DAY_NS, calendar=DAY, level=99.0)

    store.write([fixed, of_city], 5)

    assert store.reader.number("SELECT count(*) FROM aggregates") == 2
    assert len(revisions(store, length=DAY_NS)) == 1
    assert len(revisions(store, length=DAY_NS, calendar=DAY)) == 1
    (row,) = queries_api.aggregate_page(
        store.reader,
        DataFilter("aq-001"),
        window=(DAY, DAY_NS),
        between=(0, NOW),
        after=(-1, -1),
        limit=9,
    ).to_pylist()
    assert row["mean"] == 99.0


def test_the_newest_month_is_one_however_long_months_are(make_store: MakeStore) -> None:
    """November does not leave October among the newest."""
    store = make_store()
    october = hourly(4, start=HOUR - 31 * DAY_NS, length=31 * DAY_NS, calendar=MONTH)

    store.write([october, hourly(5, length=30 * DAY_NS, calendar=MONTH)], 5)

    rows = store.reader.rows("SELECT start, resolution FROM latest_aggregates")
    assert rows == [{"start": HOUR, "resolution": -MONTH}]


def test_superseded_revisions_stay_for_their_time_after_they_were_replaced(
    make_store: MakeStore,
) -> None:
    """Until then every question about the past has its exact answer."""
    store = make_store(history_days=10)
    for seq, (revision, day) in enumerate(((0, 0), (1, 3), (2, 12)), start=4):
        store.write([hourly(seq, at=NOW + day * DAY_NS, revision=revision)], seq)
    assert [row[0] for row in revisions(store)] == [0, 1, 2]

    store.write([hourly(8, at=NOW + 14 * DAY_NS, series=1)], 8)
    assert [row[0] for row in revisions(store)] == [1, 2]

    store.write([hourly(9, at=NOW + 23 * DAY_NS, series=2)], 9)
    assert [row[0] for row in revisions(store)] == [2]


@pytest.mark.parametrize("name", RESOLUTIONS)
def test_each_resolution_is_kept_for_its_own_time(make_store: MakeStore, name: str) -> None:
    """And all others are left alone."""
    store = make_store(aggregates_days={**dict.fromkeys(RESOLUTIONS, 0), name: 5})
    start = NOW - 6 * DAY_NS
    for number, resolution in enumerate(RESOLUTIONS.values()):
        length, calendar = (resolution, 0) if resolution > 0 else (DAY_NS, -resolution)
        one = {"start": start, "length": length, "calendar": calendar}
        entries = [hourly(4, at=start, **one), hourly(5, at=start, revision=1, **one)]
        store.write(entries, 5 + number)

    store.write([hourly(99, at=NOW + HOUR_NS, series=1)], 99)

    for table in ("aggregates", "aggregates_history"):
        rows = store.reader.rows(
            f"SELECT if(calendar = 0, length, -calendar::BIGINT) AS kept FROM {table}"
            " WHERE series = 0"
        )
        kept = {row["kept"] for row in rows}
        assert kept == set(RESOLUTIONS.values()) - {RESOLUTIONS[name]}


def test_by_default_minutes_leave_and_hours_stay(make_store: MakeStore) -> None:
    """Readings leave after a week, minutes after a month, quarters after a year, hours never."""
    store = make_store()
    old = {"start": NOW - 5_000 * DAY_NS}
    entries = [
        hourly(4, **old),
        hourly(5, start=NOW - 31 * DAY_NS, length=MINUTE_NS),
        hourly(6, start=NOW - 31 * DAY_NS, length=15 * MINUTE_NS),
        hourly(7, start=NOW - 367 * DAY_NS, length=15 * MINUTE_NS),
        many_readings(8, 8 * 86_400),
        hourly(9, at=NOW + HOUR_NS),
    ]

    store.write(entries, 9)

    kept = store.reader.rows("SELECT entry FROM aggregates ORDER BY entry")
    assert [row["entry"] for row in kept] == [4, 6, 9]
    assert store.reader.number("SELECT count(*) FROM readings") == 7 * 86_400 - 3600


@pytest.mark.parametrize(
    ("given", "said"), [({"2h": 3}, "there is no resolution '2h'"), ({"1h": -1}, "1h: days")]
)
def test_a_wrong_retention_is_named(given: dict[str, float], said: str) -> None:
    """What is left out keeps its default."""
    assert checked_days({"1h": 9})["1min"] == 30
    with pytest.raises(ValueError, match=said):
        checked_days(given)


def test_a_week_that_is_over_lies_in_order_of_series(make_store: MakeStore) -> None:
    """Nothing is lost or doubled by it, and what comes late is taken in as before."""
    store = make_store()
    hours = 24 * 16
    for hour in range(0, hours, 4):
        start = NOW + (hour + 3) * HOUR_NS
        starts = NOW + (hour + np.arange(4)) * HOUR_NS
        bodies = [columns_body(aggregates(s, starts, HOUR_NS, 1.0).to_arrow())
                  for s in (2, 0, 1)]  # fmt: skip
        seq = 10 + 3 * hour
        entries = [
            Entry(seq + place, log.AGGREGATES, start + HOUR_NS, body)
            for place, body in enumerate(bodies)
        ]
        store.write(entries, seq + 2)

    order = [row["series"] for row in store.reader.rows("SELECT series FROM aggregates")]
    changes = sum(one != other for one, other in pairwise(order))
    assert len(order) == 3 * hours
    assert changes < 3 * hours / 4 * 0.8

    store.write([hourly(9_999, start=NOW, revision=1, level=50.0)], 9_999)

    keys = "SELECT count(DISTINCT (series, start)) FROM aggregates"
    assert store.reader.number(keys) == 3 * hours
    assert store.reader.rows("SELECT mean FROM aggregates WHERE revision = 1") == [{"mean": 50.0}]


def test_many_windows_revised_at_once_are_all_replaced_and_kept(make_store: MakeStore) -> None:
    """An import is written in another way than single corrections, with the same outcome."""
    store = make_store()
    starts = NOW - HOUR_NS * np.arange(3000, 0, -1)
    for revision in (1, 0, 2):
        batch = aggregates(0, starts, HOUR_NS, float(revision))
        body = columns_body(replace(batch, revision=np.full(3000, revision)).to_arrow())
        store.write([Entry(10 + revision, log.AGGREGATES, NOW, body)], 10 + revision)

    counts = "SELECT revision, count(*) AS windows FROM {} GROUP BY ALL ORDER BY ALL"
    held = store.reader.rows(counts.format("aggregates"))
    former = store.reader.rows(counts.format("aggregates_history"))
    assert held == [{"revision": 2, "windows": 3000}]
    assert former == [{"revision": 0, "windows": 3000}, {"revision": 1, "windows": 3000}]
