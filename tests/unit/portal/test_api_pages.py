# SPDX-License-Identifier: EUPL-1.2
"""Pages of the programming interface hold together while rows are stored between them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamppost import log
from lamppost.batch import AggregateBatch
from lamppost.log import Entry
from lamppost.times import HOUR_NS, format_instant
from tests.unit.portal.conftest import NOW, Portal
from tests.unit.portal.seeded_city import (
    aggregates,
    alert,
    alerts_body,
    columns_body,
)

HOUR = NOW // HOUR_NS * HOUR_NS


def test_the_next_link_stands_in_body_and_header(portal: Portal) -> None:
    """RFC 8288; the last page has none."""
    first = portal.get("/api/v1/latest?limit=3")
    last = portal.get(first.json()["next"])

    assert f'<{first.json()["next"]}>; rel="next"' in first.headers["link"]
    assert last.json()["next"] is None
    assert 'rel="next"' not in last.headers["link"]


def test_a_page_token_belongs_to_its_question(portal: Portal) -> None:
    """Another question with it would leave rows out without a word."""
    token = portal.get("/api/v1/latest?limit=1").json()["next"].partition("after=")[2]

    same = portal.get(f"/api/v1/latest?limit=2&format=csv&after={token}")
    other = portal.get(f"/api/v1/latest?area=South&after={token}")

    assert same.status_code == 200
    assert other.status_code == 400
    assert other.json()["type"] == "/api/problems#invalid-page-token"


def aggregates_entry(seq: int, series: int, start: int, revision: int = 0) -> Entry:
    """Return an entry with one hour of a series."""
    batch = aggregates(series, np.array([start]), HOUR_NS, 5.0 + seq % 7)
    columns = {name: getattr(batch, name) for name in AggregateBatch.dtypes()}
    changed = AggregateBatch(**{**columns, "revision": np.array([revision], np.int32)})
    return Entry(seq, log.AGGREGATES, NOW, columns_body(changed.to_arrow()))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    limit=st.integers(1, 7),
    writes=st.lists(
        st.tuples(st.integers(0, 4), st.integers(-30, 30), st.integers(0, 9)), max_size=12
    ),
)
def test_rows_stored_between_pages_neither_hide_nor_double_older_ones(
    portal: Portal, limit: int, writes: list[tuple[int, int, int]]
) -> None:
    """New windows and revisions anywhere, also before the page that is being read."""
    question = (
        f"/api/v1/aggregates?from={format_instant(HOUR - 40 * HOUR_NS)}"
        f"&to={format_instant(HOUR + 40 * HOUR_NS)}"
    )
    seq = portal.context.store.cursor()
    older = {key_of(row) for row in portal.get(f"{question}&limit=10000").json()["items"]}
    waiting = list(writes)

    seen, address = [], f"{question}&limit={limit}"
    while address:
        page = portal.get(address).json()
        seen += [key_of(row) for row in page["items"]]
        address = page["next"]
        if waiting:
            series, hours, revision = waiting.pop()
            seq += 1
            entry = aggregates_entry(seq, series, HOUR + hours * HOUR_NS, revision)
            portal.context.store.write([entry], seq)

    assert older <= set(seen)
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen, key=lambda key: key[0])


def key_of(row: dict[str, Any]) -> tuple[str, ...]:
    """Return what identifies an aggregate."""
    return (row["start"], row["station"], row["quantity"], row["qualifiers"])


def test_an_alert_that_changes_between_pages_is_told_once(portal: Portal) -> None:
    """Pages go along what never changes of an alert."""
    first = portal.get("/api/v1/alerts?limit=2").json()
    changed = alert(first["items"][0]["alert_id"], NOW, kind="resolved")
    portal.context.store.write([Entry(700, log.ALERTS, NOW, alerts_body(changed))], 700)
    rest = portal.get(first["next"]).json()

    names = [item["alert_id"] for item in first["items"] + rest["items"]]
    assert sorted(names) == ["alert-1", "alert-2", "alert-3", "alert-4"]


def test_a_default_period_stays_the_same_from_page_to_page(portal: Portal) -> None:
    """Time goes on while somebody reads."""
    first = portal.get("/api/v1/aggregates?limit=1").json()

    portal.context.clock.advance(3 * 24 * HOUR_NS)  # type: ignore[attr-defined]
    rest = portal.get(first["next"].replace("limit=1&", "limit=10000&")).json()

    assert len(rest["items"]) == 24


def test_the_history_of_a_window_is_told(portal: Portal) -> None:
    """At least the revision in force; an hour without readings has none."""
    start = format_instant(HOUR - HOUR_NS)
    path = f"/api/v1/aggregates/history?station=aq-001&quantity=pm2_5&start={start}"

    rows = portal.get(path).json()["items"]
    nothing = portal.get(path.replace(start, "2001-01-01T00:00:00Z")).json()["items"]

    assert rows[-1]["start"] == start
    assert nothing == []
    assert portal.get(path.replace("aq-001", "aq-999")).status_code == 422
    assert portal.get("/api/v1/aggregates/history").status_code == 422
    assert portal.get(path.replace(start, "yesterday")).status_code == 422


def test_qualifiers_that_no_series_has_are_not_a_window_without_readings(portal: Portal) -> None:
    """A mistyped name is told as one."""
    start = format_instant(HOUR - HOUR_NS)
    path = f"/api/v1/aggregates/history?station=aq-001&quantity=pm2_5&start={start}"

    answer = portal.get(f"{path}&qualifiers=chanel=a")

    assert answer.status_code == 422
    assert "no series has the qualifiers 'chanel=a'" in answer.json()["detail"]


def test_revisions_come_the_oldest_first_on_pages(portal: Portal) -> None:
    """The newest is the one in force; those before it where the store keeps them."""
    start = HOUR - HOUR_NS
    seq = portal.context.store.cursor()
    for revision in (1, 2):
        entry = aggregates_entry(seq + revision, 0, start, revision)
        portal.context.store.write([entry], seq + revision)
    views = portal.context.reader.rows("SELECT view_name FROM duckdb_views()")
    kept = {"view_name": "aggregates_revisions"} in views

    question = f"station=aq-001&quantity=pm2_5&start={format_instant(start)}&limit=1"
    rows, address = [], f"/api/v1/aggregates/history?{question}"
    while address:
        page = portal.get(address).json()
        rows += page["items"]
        address = page["next"]

    assert [row["revision"] for row in rows] == ([0, 1, 2] if kept else [2])
    assert rows[-1]["replaced_at"] is None
    assert kept == all(row["published_at"] for row in rows)


def test_a_tag_stands_for_the_state_that_was_read(portal: Portal) -> None:
    """What is stored while a page is being read is not in it, and its tag says so."""
    reader = portal.context.reader
    with reader.snapshot(30.0) as before:
        rows = reader.number("SELECT count(*) FROM aggregates")
        entry = aggregates_entry(900, 0, HOUR - 90 * HOUR_NS)
        writing = threading.Thread(target=portal.context.store.write, args=([entry], 900))
        writing.start()
        writing.join()
        assert reader.number("SELECT count(*) FROM aggregates") == rows
    with reader.snapshot(30.0) as after:
        assert reader.number("SELECT count(*) FROM aggregates") == rows + 1

    assert (before < after, after) == (True, 900)
