# SPDX-License-Identifier: EUPL-1.2
"""What the programming interface refuses: wrong questions, too long ones, too many of them."""

from __future__ import annotations

import pyarrow.parquet
import pytest

from lamppost_app.portal import queries_api
from lamppost_app.portal.api_limits import ReadingLimiter, client_of
from lamppost_app.portal.problem_types import PROBLEMS
from sinks.store_reader import QueryTimedOut, StoreReader
from tests.unit.portal.conftest import MakePortal, Portal


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
    """Also where no rules tell which windows there are."""
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
