# SPDX-License-Identifier: EUPL-1.2
"""The programming interface: what it promises in OpenAPI is what it answers."""

from __future__ import annotations

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from lamppost import log
from lamppost.log import Entry
from lamppost.times import HOUR_NS
from lamppost_app.portal import api_models
from lamppost_app.portal.api_details import DetailItem
from lamppost_app.portal.api_fits import FitItem
from tests.unit.portal.conftest import NOW, Portal
from tests.unit.portal.seeded_city import alert, alerts_body

MODELS = {
    "stations": api_models.StationItem,
    "series": api_models.SeriesItem,
    "latest": api_models.LatestItem,
    "details": DetailItem,
    "fits": FitItem,
    "aggregates": api_models.AggregateItem,
    "indices": api_models.IndexItem,
    "indices/stations": api_models.StationIndexItem,
    "alerts": api_models.AlertItem,
    "ledger": api_models.LedgerItem,
    "ledger/sinks": api_models.BalanceItem,
    "quarantine": api_models.QuarantineItem,
}


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_what_their_models_say(portal: Portal, name: str) -> None:
    """Rows are serialised without a model, for speed; so this holds them to it."""
    answer = portal.get(f"/api/v1/{name}").json()

    assert answer["items"]
    page = api_models.Page[MODELS[name]].model_validate(answer, strict=True)
    assert page.model_dump(mode="json") == answer


@pytest.mark.parametrize("name", MODELS)
def test_pages_along_the_next_link_give_every_row_once(portal: Portal, name: str) -> None:
    """Keyset paging: no row twice, none left out."""
    whole = portal.get(f"/api/v1/{name}?limit=10000").json()["items"]

    rows, address = [], f"/api/v1/{name}?limit=2"
    while address:
        answer = portal.get(address).json()
        assert len(answer["items"]) <= 2
        rows += answer["items"]
        address = answer["next"]

    assert rows == whole


def test_aggregates_can_be_chosen(portal: Portal) -> None:
    """Station, quantity, window, area and time narrow the answer."""
    path = "/api/v1/aggregates?station=aq-001&quantity=pm2_5&window=1min&area=Centre"
    rows = portal.get(path).json()["items"]
    last = rows[-1]["start"]
    newest = portal.get(f"{path}&from={last}").json()["items"]

    assert len(rows) == 60
    assert {row["window"] for row in rows} == {"1min"}
    assert {row["unit"] for row in rows} == {"ug/m3"}
    assert newest == rows[-1:]


def test_the_numbers_behind_a_reason_can_be_asked_for(portal: Portal) -> None:
    """By station, quantity and time; the reason by its name."""
    path = "/api/v1/details?station=aq-001&quantity=pm2_5"
    rows = portal.get(path).json()["items"]

    assert [row["detail"] for row in rows] == [f"It was {row} before." for row in (-3, -2, -1)]
    assert {row["reason"] for row in rows} == {"correction"}
    assert portal.get(f"{path}&from={rows[1]['time']}").json()["items"] == rows[1:]
    assert not portal.get("/api/v1/details?station=aq-002").json()["items"]


def test_csv_has_the_same_rows_and_no_formulas(portal: Portal) -> None:
    """A spreadsheet runs text that starts with an equals sign."""
    evil = alert("evil", NOW, title='=HYPERLINK("x")')
    portal.context.store.write([Entry(99, log.ALERTS, NOW, alerts_body(evil))], 99)

    answer = portal.get("/api/v1/alerts", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    numbers = list(csv.DictReader(io.StringIO(portal.get("/api/v1/latest?format=csv").text)))

    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert rows[-1]["title"] == """'=HYPERLINK("x")"""
    assert float(numbers[0]["value"]) > 0


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("latest", {"good": 1, "suspect": 1, "fail": -1, "missing": None}),
        ("aggregates", {"good": 1, "suspect": -1, "missing": None}),
    ],
)
def test_rows_have_the_codes_of_european_reporting(
    portal: Portal, name: str, codes: dict[str, int | None]
) -> None:
    """In JSON, CSV and Parquet: validity by the flag, and never verified."""
    address = f"/api/v1/{name}?limit=10000"
    rows = portal.get(address).json()["items"]
    text = portal.get(f"{address}&format=csv").text
    columns = pq.read_table(io.BytesIO(portal.get(f"{address}&format=parquet").content))

    assert {row["flag"] for row in rows} <= codes.keys()
    assert [row["validity"] for row in rows] == [codes[row["flag"]] for row in rows]
    assert {row["verification"] for row in rows} == {3}
    assert columns["validity"].to_pylist() == [row["validity"] for row in rows]
    assert [row["validity"] for row in csv.DictReader(io.StringIO(text))] == [
        "" if row["validity"] is None else str(row["validity"]) for row in rows
    ]


def test_nothing_new_is_a_304(portal: Portal) -> None:
    """The ETag changes with the store's position and with the question."""
    first = portal.get("/api/v1/latest")
    same = {"If-None-Match": first.headers["etag"]}

    assert portal.get("/api/v1/latest", headers=same).status_code == 304
    assert portal.get("/api/v1/latest?area=South", headers=same).status_code == 200
    portal.context.store.write([], 1000)
    assert portal.get("/api/v1/latest", headers=same).status_code == 200


def test_public_answers_carry_licence_and_cors(portal: Portal) -> None:
    """Other sites' pages may use the data, and machines find the licence."""
    headers = portal.get("/api/v1/latest").headers

    assert headers["access-control-allow-origin"] == "*"
    assert '<https://creativecommons.org/licenses/by/4.0/>; rel="license"' in headers["link"]
    assert "access-control-allow-origin" not in portal.get("/").headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/aggregates?limit=0", 422),
        ("/api/v1/aggregates?limit=10001", 422),
        ("/api/v1/aggregates?window=fortnight", 422),
        ("/api/v1/aggregates?from=2026-11-21", 422),
        ("/api/v1/aggregates?after=bm9uc2Vuc2U", 400),
        ("/api/v1/ledger?after=WyIxIiwgMSwgMV0", 400),
        ("/api/v1/alerts?state=odd", 422),
        ("/api/v1/nothing", 404),
    ],
)
def test_mistakes_are_problem_documents(portal: Portal, path: str, status: int) -> None:
    """RFC 9457, with a sentence that says what to do."""
    answer = portal.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_operators_words_are_not_public(portal: Portal) -> None:
    """The alert is public, the names of people are not."""
    text = portal.get("/api/v1/alerts").text

    assert "Barge" not in text
    assert "acknowledged_at" in text


def test_the_openapi_document_names_every_public_route(portal: Portal) -> None:
    """OpenAPI 3.1, with the problem type on every operation."""
    document = portal.get("/api/v1/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    others = ["aggregates/history", "compliance", "csvw/{table}", "readings"]
    assert {f"/api/v1/{name}" for name in [*MODELS, *others]} == set(document["paths"])
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in json.dumps(operation["responses"]["422"])
            assert all(item.get("description") for item in operation.get("parameters", ()))


def test_quarantine_is_public_without_its_bytes(portal: Portal) -> None:
    """Payloads may hold what their senders did not mean to publish."""
    answer = portal.get("/api/v1/quarantine")
    (own,) = portal.get("/api/v1/quarantine?station=aq-001&state=replayed").json()["items"]

    assert "not json" not in answer.text
    assert "aa:bb" not in answer.text
    assert "Operator" not in answer.text
    assert (own["code"], own["id"].split("-")[1], own["bytes"]) == ("unknown_unit", "1", 81)


def test_balances_are_told_as_soon_as_they_change(portal: Portal) -> None:
    """The books move apart from the store, so the tag takes them in."""
    before = portal.get("/api/v1/ledger/sinks")
    cursors = portal.context.cursors
    assert cursors is not None
    hour = NOW // HOUR_NS * HOUR_NS
    cursors.compare("store", {("aq-001", hour): 7}, 99)
    after = portal.get("/api/v1/ledger/sinks", headers={"If-None-Match": before.headers["etag"]})

    verdicts = {row["station"]: row["balanced"] for row in after.json()["items"]}
    assert after.status_code == 200
    assert verdicts["aq-001"] is False
