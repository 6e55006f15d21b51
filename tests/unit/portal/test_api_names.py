# SPDX-License-Identifier: EUPL-1.2
"""Questions about what there is not are refused; of what there is, there may be nothing yet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lamppost import log
from lamppost.log import Entry
from lamppost.times import DAY_NS
from tests.outbox_entries import aggregates_entry
from tests.unit.portal.conftest import NOW, MakePortal, Portal
from tests.unit.portal.seeded_city import rules_body


@pytest.fixture
def told(portal: Portal) -> Portal:
    """A portal whose rules say which windows there are, over one week of an earlier policy."""
    windows = ["1min", "1h", "day"]
    rules = {**json.loads(rules_body()), "policy": "later", "windows": windows}
    week = aggregates_entry(901, series=[0], start=NOW - 7 * DAY_NS, length=7 * DAY_NS, calendar=0)
    entries = [Entry(900, log.RULES, NOW, json.dumps(rules).encode()), week]
    portal.context.store.write(entries, 901)
    return portal


@pytest.mark.parametrize(
    ("question", "parameter", "words"),
    [
        ("aggregates?window=7h", "window", ["no windows of '7h'", "there are 1min, 1h, day"]),
        ("aggregates?window=month", "window", ["no windows of 'month'"]),
        ("aggregates/history?station=aq-001&quantity=pm2_5&window=7h&start=2026-11-21T21:00:00Z",
         "window", ["no windows of '7h'"]),
        ("aggregates?quantity=pm25", "quantity", ["no quantity 'pm25'", "did you mean pm2_5?"]),
        ("latest?quantity=noise", "quantity", ["no quantity 'noise'"]),
        ("latest?station=aq-01", "station", ["no station 'aq-01'", "did you mean aq-0"]),
        ("indices?station=nobody", "station", ["no station 'nobody'", "/api/v1/stations"]),
        ("stations?area=Nowhere", "area", ["no station has the area 'Nowhere'"]),
        ("stations?kind=airquality", "kind", ["did you mean air_quality?"]),
        ("ledger?station=nobody-here", "station", ["no station 'nobody-here'"]),
        ("alerts?station=nobody-here", "station", ["no station 'nobody-here'"]),
    ],
)  # fmt: skip
def test_a_name_of_nothing_is_refused_with_what_there_is(
    told: Portal, question: str, parameter: str, words: list[str]
) -> None:
    """In the words of the question, as a problem document."""
    answer = told.get(f"/api/v1/{question}")

    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [error["parameter"] for error in problem["errors"]] == [parameter]
    assert problem["errors"][0]["code"] == "unknown"
    assert all(word in problem["detail"] for word in words)


def test_all_names_of_nothing_are_told_at_once(told: Portal) -> None:
    """One question shows everything that is wrong with it."""
    problem = told.get("/api/v1/aggregates?window=7h&quantity=pm25&station=nobody").json()

    assert {error["parameter"] for error in problem["errors"]} == {"window", "quantity", "station"}


@pytest.mark.parametrize(
    "question",
    [
        "aggregates?window=day",
        "aggregates?window=60min&from=2000-01-01T00:00:00Z&to=2000-01-02T00:00:00Z",
        "aggregates?window=168h&from=2000-01-01T00:00:00Z&to=2000-01-02T00:00:00Z",
        "latest?quantity=co2",
        "aggregates?station=aq-001&from=2000-01-01T00:00:00Z&to=2000-01-02T00:00:00Z",
        "alerts?station=aq-001&severity=info",
    ],
)
def test_of_what_there_is_there_may_be_nothing(told: Portal, question: str) -> None:
    """Windows of an earlier policy can be asked for as long as the store holds some."""
    answer = told.get(f"/api/v1/{question}")

    assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_an_empty_store_refuses_no_name(make_portal: MakePortal) -> None:
    """Whatever is asked for may still come."""
    portal = make_portal(seeded=False)

    answer = portal.get("/api/v1/aggregates?station=a&quantity=pm25&window=7h")

    assert (answer.status_code, answer.json()["items"]) == (200, [])
