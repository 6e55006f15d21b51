# SPDX-License-Identifier: EUPL-1.2
"""How the programming interface answers: formats, tags, pages, limits, problems."""

from __future__ import annotations

import csv
import io
import json
import threading
from datetime import datetime
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamppost import log
from lamppost.batch import AggregateBatch
from lamppost.log import Entry
from lamppost.times import HOUR_NS, MINUTE_NS, format_instant
from lamppost.zones import load_zone
from lamppost_app.portal import queries_api
from lamppost_app.portal.api_limits import ReadingLimiter, client_of
from lamppost_app.portal.problem_types import PROBLEMS
from sinks.instant_texts import known_zone, local_text, utc_text
from sinks.store_reader import QueryTimedOut, StoreReader
from tests.unit.portal.conftest import NOW, MakePortal, Portal
from tests.unit.portal.seeded_city import (
    POLICY,
    aggregates,
    alert,
    alerts_body,
    columns_body,
    rules_body,
)

HOUR = NOW // HOUR_NS * HOUR_NS
FORMS = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
TABLES = ("stations", "series", "latest", "aggregates", "indices", "alerts", "ledger",
          "ledger/sinks", "quarantine")  # fmt: skip


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return the rows of an answer in any format."""
    kind = answer.headers["content-type"].partition(";")[0]
    if kind == FORMS["json"]:
        return list(answer.json()["items"])
    if kind == FORMS["csv"]:
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))
    return pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("form", FORMS)
def test_a_format_is_chosen_by_address_or_header(portal: Portal, table: str, form: str) -> None:
    """Both give the same rows, and the answer says what it is."""
    by_name = portal.get(f"/api/v1/{table}?format={form}")
    by_header = portal.get(f"/api/v1/{table}", headers={"Accept": FORMS[form]})
    plain = portal.get(f"/api/v1/{table}").json()["items"]

    assert by_name.headers["content-type"].startswith(FORMS[form])
    assert by_header.headers["content-type"] == by_name.headers["content-type"]
    assert [list(row) for row in rows_of(by_name)] == [list(row) for row in plain]
    assert rows_of(by_name) == rows_of(by_header)
    assert by_name.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "json"),
        ("", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"),
        ("text/*", "csv"),
        ("application/json;q=0.1, text/csv", "csv"),
        ("application/json;q=0, */*", "csv"),
        ("Application/VND.apache.parquet, */*;q=0.5", "parquet"),
    ],
)
def test_the_most_welcome_format_is_answered(portal: Portal, accept: str, form: str) -> None:
    """As RFC 9110 weighs ranges."""
    answer = portal.get("/api/v1/latest", headers={"Accept": accept})

    assert answer.headers["content-type"].startswith(FORMS[form])


@pytest.mark.parametrize(
    ("query", "accept"), [("?format=xml", "*/*"), ("", "text/html"), ("", "application/json;q=0")]
)
def test_another_format_is_a_406(portal: Portal, query: str, accept: str) -> None:
    """The problem lists those there are."""
    answer = portal.get(f"/api/v1/latest{query}", headers={"Accept": accept})

    assert answer.status_code == 406
    assert answer.json()["type"] == "/api/problems#not-acceptable"
    assert all(kind in answer.json()["detail"] for kind in FORMS.values())


def test_an_aggregate_tells_all_it_is_made_of(portal: Portal) -> None:
    """Every column of the contract, words for flags, both times, versions."""
    row = portal.get("/api/v1/aggregates?limit=1").json()["items"][0]

    statistics = set(AggregateBatch.dtypes()) - {"series", "length", "calendar"}
    assert statistics <= set(row)
    assert row["flag"] == "good"
    assert row["policy"] == POLICY
    assert row["start_local"] == row["start"].replace("Z", "+00:00")
    assert row["harmonic"] is None


def test_local_times_follow_the_zone_of_the_policy(portal: Portal) -> None:
    """time.zone of the rules in force."""
    document = json.loads(rules_body())
    document["policy"] = "fedcba987654"
    document["content"]["time"] = {"zone": "Europe/Amsterdam"}
    portal.context.store.write([Entry(50, log.RULES, NOW, json.dumps(document).encode())], 50)

    answer = portal.get("/api/v1/latest?limit=1").json()

    assert answer["time_zone"] == "Europe/Amsterdam"
    assert answer["items"][0]["time_local"].endswith("+01:00")
    assert datetime.fromisoformat(answer["items"][0]["time_local"]) == datetime.fromisoformat(
        answer["items"][0]["time"]
    )


@given(
    st.lists(st.integers(-2_208_988_800_000, 4_102_444_800_000), min_size=1, max_size=8),
    st.sampled_from([1, 1_000, 1_000_000]),
    st.sampled_from(["Europe/Amsterdam", "America/St_Johns", "Asia/Kathmandu", "UTC"]),
)
def test_texts_of_instants_are_those_of_the_standard_library(
    millis: list[int], unit: int, zone: str
) -> None:
    """In UTC and in local time, across changes of the clock, by the tzdata windows are made by."""
    times = np.array(millis, np.int64) * 1_000_000 // unit * unit

    assert utc_text(times).to_pylist() == [format_instant(int(time)) for time in times]
    for time_ns, text in zip(times, local_text(times, zone).to_pylist(), strict=True):
        offset = datetime.fromtimestamp(int(time_ns) // 10**9, load_zone(zone)).utcoffset()
        told = datetime.fromisoformat(text).utcoffset()
        assert offset is not None
        assert told is not None
        assert told.total_seconds() // 60 == int(abs(offset.total_seconds()) // 60) * (
            -1 if offset.total_seconds() < 0 else 1
        )


@pytest.mark.parametrize("name", [None, "", "Nowhere/Bree", "../etc/passwd", 7])
def test_what_is_no_time_zone_is_utc(name: object) -> None:
    """A policy of another version may say anything."""
    assert known_zone(name) == "UTC"


def test_csv_leads_to_the_meaning_of_its_columns(portal: Portal) -> None:
    """CSV on the Web: the Link header, same query, every column described."""
    answer = portal.get("/api/v1/aggregates?station=aq-001&format=csv")
    link = next(part for part in answer.headers["link"].split(", ") if "csvm+json" in part)
    described = portal.get(link[1 : link.index(">")])

    header = answer.text.partition("\r\n")[0].split(",")
    columns = described.json()["tableSchema"]["columns"]
    assert described.headers["content-type"] == "application/csvm+json"
    assert [column["name"] for column in columns] == header
    assert all(column["dc:description"] for column in columns)
    assert described.json()["url"] == "/api/v1/aggregates?station=aq-001&format=csv"
    assert portal.get("/api/v1/csvw/nothing").status_code == 404


def test_parquet_tells_licence_units_and_versions(portal: Portal) -> None:
    """In the metadata of the file and of its columns; instants are instants."""
    answer = portal.get("/api/v1/aggregates?format=parquet")
    schema = pyarrow.parquet.read_schema(io.BytesIO(answer.content))

    facts = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert facts["licence"] == "CC-BY-4.0"
    assert facts["policy"] == POLICY
    assert schema.field("mean").metadata[b"unit"] == b"see unit"
    assert str(schema.field("start").type) == "timestamp[ns, tz=UTC]"
    assert 'filename="aggregates.parquet"' in answer.headers["content-disposition"]


@pytest.mark.parametrize("table", TABLES)
def test_tags_are_strong_and_spare_the_question(
    portal: Portal, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 304 asks the store nothing; HEAD tells the same as GET."""
    first = portal.get(f"/api/v1/{table}")
    head = portal.request("HEAD", f"/api/v1/{table}")
    etag = first.headers["etag"]

    def never(*_args: object) -> None:
        raise AssertionError("the store was asked")

    monkeypatch.setattr(type(portal.context.reader), "snapshot", never)
    again = portal.get(f"/api/v1/{table}", headers={"If-None-Match": f'"other", W/{etag}'})

    assert etag.startswith('"')
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == etag
    assert head.content == b""
    assert head.headers["content-length"] == str(len(first.content))
    assert head.headers["etag"] == etag


def test_tags_differ_by_format_and_page(portal: Portal) -> None:
    """They stand for bytes."""
    paths = ("", "?format=csv", "?format=parquet", "?limit=2", "?area=South")

    tags = {portal.get(f"/api/v1/latest{path}").headers["etag"] for path in paths}

    assert len(tags) == len(paths)


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


def test_unknown_names_are_refused_with_a_hint(portal: Portal) -> None:
    """And known ones are named."""
    answer = portal.get("/api/v1/aggregates?statoin=aq-001&colour=red&limit=0")
    errors = {error["parameter"]: error for error in answer.json()["errors"]}

    assert answer.status_code == 422
    assert errors["statoin"]["code"] == "unknown"
    assert "did you mean station?" in errors["statoin"]["detail"]
    assert "window" in errors["colour"]["known"]
    assert errors["limit"]["code"] == "invalid"


def test_a_parameter_told_twice_is_refused(portal: Portal) -> None:
    """Else one of them would be ignored."""
    answer = portal.get("/api/v1/latest?area=South&area=Centre")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "repeated"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from=2020-01-01T00:00:00Z&to=2026-11-22T00:00:00Z", "span-too-long"),
        ("window=1min&from=2026-01-01T00:00:00Z&to=2026-11-22T00:00:00Z", "span-too-long"),
        ("from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", "invalid-parameters"),
        ("window=week", "invalid-parameters"),
    ],
)
def test_periods_are_bounded_by_resolution(portal: Portal, query: str, name: str) -> None:
    """The error names the parameter and the earliest instant that would do."""
    answer = portal.get(f"/api/v1/aggregates?{query}")

    assert answer.json()["type"] == f"/api/problems#{name}"
    assert answer.json()["errors"][0]["parameter"] in {"from", "window"}


@pytest.mark.parametrize("window", ["day", "month", "year", "24h", "8h", "15min"])
def test_every_resolution_can_be_asked_for(portal: Portal, window: str) -> None:
    """Also where there are no such windows."""
    answer = portal.get(f"/api/v1/aggregates?window={window}")

    assert answer.status_code == 200
    assert answer.json()["items"] == []


def test_a_question_that_takes_too_long_is_given_up(portal: Portal) -> None:
    """The next one on the same connection is not harmed."""
    reader = portal.context.reader

    with pytest.raises(QueryTimedOut), reader.snapshot(0.05):
        reader.rows("SELECT count(*) FROM range(1000000000000) a WHERE random() > 2")

    assert reader.number("SELECT 7") == 7


def test_a_timed_out_question_is_a_503(
    make_portal: MakePortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Retry-After."""
    portal = make_portal(query_timeout_s=0.2)

    def ask_for_long(reader: StoreReader, *_rest: object) -> pyarrow.Table:
        return reader.table("SELECT count(*) FROM range(1000000000000) a WHERE random() > 2")

    monkeypatch.setattr(queries_api, "series_page", ask_for_long)
    answer = portal.get("/api/v1/series")

    assert answer.status_code == 503
    assert answer.json()["type"] == "/api/problems#query-timed-out"
    assert answer.headers["retry-after"]
    assert portal.get("/api/v1/indices").status_code == 200


def test_clients_that_ask_too_often_are_told_to_wait(make_portal: MakePortal) -> None:
    """One client's haste does not slow down another's."""
    portal = make_portal(reads_per_s=0.01, reads_at_once=2)

    answers = [portal.get("/api/v1/latest") for _ in range(3)]
    other = portal.get("/api/v1/latest", client="192.0.2.7")

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit"] == '"reads";r=1'
    assert answers[2].json()["type"] == "/api/problems#too-many-requests"
    assert int(answers[2].headers["retry-after"]) >= 1
    assert answers[2].headers["access-control-allow-origin"] == "*"
    assert other.status_code == 200
    assert portal.get("/").status_code == 200


def test_the_bucket_of_a_client_refills() -> None:
    """At its rate, up to its size; others have their own."""
    now = [0.0]
    limiter = ReadingLimiter(2.0, 3, lambda: now[0])

    assert [limiter.take("a")[0] for _ in range(4)] == [2, 1, 0, -1]
    assert limiter.take("b")[0] == 2
    now[0] = 0.5
    assert [limiter.take("a")[0] for _ in range(2)] == [0, -1]
    assert limiter.take("a")[1] == pytest.approx(0.5)
    now[0] = 100.0
    assert limiter.take("a")[0] == 2


def test_addresses_of_one_network_are_one_client() -> None:
    """An IPv6 client has 2^64 addresses to ask from."""
    assert client_of("2001:db8::1") == client_of("2001:db8::2")
    assert client_of("192.0.2.1") != client_of("192.0.2.2")
    assert client_of("somewhere") == "somewhere"


def test_buckets_that_are_full_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """So memory stays bounded, whoever asks."""
    monkeypatch.setattr("lamppost_app.portal.api_limits._MOST_CLIENTS", 100)
    limiter = ReadingLimiter(1.0, 5, lambda: 0.0)

    for number in range(1000):
        limiter.take(f"192.0.2.{number}")

    assert len(limiter._full_at) <= 100


def test_browsers_may_ask_with_a_tag_and_may_not_push(portal: Portal) -> None:
    """The preflight of another site's page."""
    answer = portal.request("OPTIONS", "/api/v1/latest", headers={"Origin": "https://x.example"})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "If-None-Match" in answer.headers["access-control-allow-headers"]
    assert "POST" not in answer.headers["access-control-allow-methods"]


def test_a_failure_tells_nothing_of_the_inside(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A problem document; the traceback goes to the log."""

    def fail(*_args: object, **_kinds: object) -> None:
        raise ZeroDivisionError("secret path")

    monkeypatch.setattr(queries_api, "latest_page", fail)
    answer = portal.request("GET", "/api/v1/latest", raises=False)

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert answer.json()["type"] == "/api/problems#internal-error"


def test_every_type_of_problem_has_its_place(portal: Portal) -> None:
    """The type URI resolves: a page with that anchor."""
    page = portal.get("/api/problems").text

    assert all(f'id="{name}"' in page for name in PROBLEMS)


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
    """At least the revision in force; an unknown window has none."""
    start = format_instant(HOUR - HOUR_NS)
    path = f"/api/v1/aggregates/history?station=aq-001&quantity=pm2_5&start={start}"

    rows = portal.get(path).json()["items"]
    nothing = portal.get(path.replace("aq-001", "aq-999")).json()["items"]

    assert rows[-1]["start"] == start
    assert nothing == []
    assert portal.get("/api/v1/aggregates/history").status_code == 422
    assert portal.get(path.replace(start, "yesterday")).status_code == 422


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


def test_series_tell_how_their_clock_is(portal: Portal) -> None:
    """A word, and the numbers behind it; nothing where nothing is known."""
    rows = portal.get("/api/v1/series").json()["items"]
    told = {
        row["station"]: [row[name] for name in ("clock", "clock_skew_s", "clock_readings")]
        for row in rows
    }

    assert told == {
        "aq-001": ["right", 0.3, 5],
        "aq-002": ["ahead", -3599.2, 5],
        "tr-001": ["behind", 7.4, 5],
        "aq-003": [None, None, None],
    }
    (known,) = (row for row in rows if row["station"] == "tr-001")
    assert known["clock_spread_s"] == 0.1
    assert known["clock_until"] == format_instant(NOW // MINUTE_NS * MINUTE_NS)
    assert portal.get("/api/v1/series?format=csv").status_code == 200
    assert portal.get("/api/v1/series?format=parquet&station=aq-003").status_code == 200


def test_series_tell_from_when_to_when(portal: Portal) -> None:
    """With unit and resolutions."""
    rows = portal.get("/api/v1/series?station=aq-001&quantity=pm2_5").json()["items"]

    assert len(rows) == 1
    assert rows[0]["unit"] == "ug/m3"
    assert rows[0]["windows"] == ["1min", "1h"]
    assert rows[0]["first_at"] < rows[0]["last_at"] <= format_instant(NOW)
