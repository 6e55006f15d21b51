# SPDX-License-Identifier: EUPL-1.2
"""How the programming interface answers: formats, columns, tags, what a series tells."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any

import httpx
import pyarrow.parquet
import pytest

from lamppost import log
from lamppost.batch import AggregateBatch
from lamppost.log import Entry
from lamppost.times import HOUR_NS, MINUTE_NS, format_instant
from tests.outbox_entries import aggregates_entry
from tests.unit.portal.conftest import NOW, Portal
from tests.unit.portal.seeded_city import (
    POLICY,
    rules_body,
)

HOUR = NOW // HOUR_NS * HOUR_NS
FORMS = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
TABLES = ("stations", "series", "latest", "details", "fits", "aggregates", "indices", "alerts",
          "ledger", "ledger/sinks", "quarantine")  # fmt: skip


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


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_a_method_that_is_not_allowed_is_told_which_are(portal: Portal, method: str) -> None:
    """The same ones as OPTIONS tells, HEAD among them."""
    answer = portal.request(method, "/api/v1/latest")

    assert answer.status_code == 405
    assert answer.json()["type"].endswith("method-not-allowed")
    told = portal.request("OPTIONS", "/api/v1/latest").headers["allow"]
    assert answer.headers["allow"] == told == "GET, HEAD, OPTIONS"


def test_browsers_may_ask_with_a_tag_and_may_not_push(portal: Portal) -> None:
    """The preflight of another site's page."""
    answer = portal.request("OPTIONS", "/api/v1/latest", headers={"Origin": "https://x.example"})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "If-None-Match" in answer.headers["access-control-allow-headers"]
    assert "POST" not in answer.headers["access-control-allow-methods"]


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


def test_a_series_does_not_begin_with_the_month_it_began_in(portal: Portal) -> None:
    """Its year and month began before it did."""
    path = "/api/v1/series?station=aq-001&quantity=pm2_5"
    before = portal.get(path).json()["items"][0]["first_at"]
    year = 365 * 24 * HOUR_NS
    long = aggregates_entry(900, start=NOW - year, length=year, calendar=3)
    portal.context.store.write([long], 900)

    assert portal.get(path).json()["items"][0]["first_at"] == before
