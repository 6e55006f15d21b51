# SPDX-License-Identifier: EUPL-1.2
"""A policy with another time zone, from the inbox to the stores and the API."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamppost import log
from lamppost.batch import DAY
from lamppost.frames import Deliveries
from lamppost.log import Entry, Record
from lamppost.policy import Policy
from lamppost.times import DAY_NS, HOUR_NS, parse_instant
from lamppost_app.engine import Engine
from lamppost_app.portal.queries_api import aggregate_page, revisions
from lamppost_app.portal.queries_data import DataFilter
from sinks.open_data.sink import OpenDataSettings, OpenDataSink
from sinks.store import Store, StoreSettings

BEGIN = parse_instant("2026-11-01T00:00:00Z")
END = BEGIN + 40 * DAY_NS


def policy(zone: str) -> Policy:
    """Return a policy with days and months of a zone."""
    return Policy.model_validate(
        {
            "routes": [{"match": "#", "format": "native_json"}],
            "time": {"zone": zone},
            "windows": {"event_time": {"lengths": ["1h"], "calendar": ["day", "month"]}},
        }
    )


def moved(*zones: str) -> Iterator[Record]:
    """Yield two days and an hour of hourly readings in each zone, and at last one day more."""
    hour = 0
    for zone in zones:
        yield Record(log.POLICY, BEGIN + hour * HOUR_NS, policy(zone).canonical().encode())
        for _ in range(49 if zone is not zones[-1] else 72):
            hour += 1
            deliveries = Deliveries()
            at = BEGIN + hour * HOUR_NS - HOUR_NS // 2
            reading = {"sensor": "s", "time": at // 10**9, "values": {"pm2_5": 10.0}}
            deliveries.add("v1/s/readings", json.dumps(reading).encode(), at, source="mqtt")
            yield Record(log.FRAME, at, deliveries.to_bytes())
            yield Record(log.TICK, BEGIN + hour * HOUR_NS + HOUR_NS // 60, b"")


def outbox(*zones: str) -> list[Entry]:
    """Return what the engine says of it."""
    engine = Engine()
    said = itertools.chain.from_iterable(
        engine.apply(Entry(seq, record.kind, record.at, record.body))
        for seq, record in enumerate(moved(*zones), 1)
    )
    return [Entry(seq, each.kind, each.at, each.body) for seq, each in enumerate(said, 1)]


@pytest.fixture(scope="module", params=[("UTC", "Europe/Berlin"), ("Europe/Berlin", "UTC")])
def entries(request: pytest.FixtureRequest) -> list[Entry]:
    """What was said of a city that moved."""
    return outbox(*request.param)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    made = Store(StoreSettings(path=tmp_path / "store.duckdb"))
    yield made
    made.close()


def days_of(store: Store) -> list[tuple[int, int]]:
    """Return start and end of the days the API answers, in hours."""
    page = aggregate_page(
        store.reader,
        DataFilter("s"),
        window=(DAY, DAY_NS),
        between=(BEGIN - DAY_NS, END),
        after=(-(2**62), -1),
        limit=100,
    )
    return [
        ((row["start"] - BEGIN) // HOUR_NS, (row["start"] + row["length"] - BEGIN) // HOUR_NS)
        for row in page.to_pylist()
    ]


@pytest.mark.parametrize("size", [1, 1000])
def test_the_store_answers_days_that_follow_one_another(
    entries: list[Entry], store: Store, size: int
) -> None:
    """And its newest day is one that counts."""
    for part in (entries[at : at + size] for at in range(0, len(entries), size)):
        store.write(part, part[-1].seq)

    days = days_of(store)

    assert len(days) >= 4
    assert all(before[1] == after[0] for before, after in itertools.pairwise(days))
    newest = store.reader.rows("SELECT start FROM latest_aggregates WHERE resolution = -1")
    assert [(row["start"] - BEGIN) // HOUR_NS for row in newest] == [days[-1][0]]


def test_the_newest_day_counts_at_every_moment(entries: list[Entry], store: Store) -> None:
    """Also between the entry that takes the former days back and the next midnight."""
    last = next(entry.seq for entry in reversed(entries) if entry.kind == log.RULES) + 2
    store.write([entry for entry in entries if entry.seq <= last], last)

    newest = store.reader.row("SELECT start, count FROM latest_aggregates WHERE resolution = -1")

    assert newest is not None
    assert newest["count"] > 0


def test_the_history_keeps_what_was_taken_back(entries: list[Entry], store: Store) -> None:
    """With a last revision that counts nothing."""
    store.write(entries, entries[-1].seq)
    gone = store.reader.rows(
        "SELECT start, length FROM aggregates WHERE calendar = 1 AND count = 0"
    )

    found = revisions(
        store.reader,
        ("s", "pm2_5", ""),
        window=(DAY, DAY_NS),
        start=gone[0]["start"],
        after=(-1, -1),
        limit=10,
    )

    assert found.column("count").to_pylist()[-1] == 0
    assert found.column("count").to_pylist()[0] > 0


def test_open_data_hold_days_that_follow_one_another(entries: list[Entry], tmp_path: Path) -> None:
    """Whatever day is in the files was not taken back, and is in one of them."""
    sink = OpenDataSink(OpenDataSettings(dir=tmp_path, windows=("day",)))
    for entry in entries:
        sink.write([entry], entry.seq)

    files = sorted(tmp_path.glob("aggregates/window=day/**/*.csv"))
    rows = [row for path in files for row in csv.DictReader(path.read_text().splitlines())]
    days = sorted((row["window_start"], row["window_end"]) for row in rows)

    assert len(days) >= 4
    assert all(before[1] == after[0] for before, after in itertools.pairwise(days))
