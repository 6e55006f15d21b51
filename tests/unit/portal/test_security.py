# SPDX-License-Identifier: EUPL-1.2
"""Who may act, and what every answer carries."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest

from lamppost import log
from lamppost.alerts import AcknowledgeCommand
from lamppost.log import Entry
from lamppost_app.portal.formatting import clean
from tests.unit.portal.conftest import NOW, MakePortal, Portal
from tests.unit.portal.seeded_city import alert, alerts_body

FORM = {"by": "Ana", "comment": "Technician is on the way", "back": "/?severity=critical"}
OURS = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8642"}
PATH = "/alerts/alert-1/acknowledge"


def credentials(password: str) -> dict[str, str]:
    """Return the header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


def commands(portal: Portal) -> list[AcknowledgeCommand]:
    """Return the commands in the inbox."""
    return [
        AcknowledgeCommand.model_validate_json(entry.body)
        for entry in portal.context.inbox.read(0, 100)
        if entry.kind == log.COMMAND
    ]


@pytest.mark.parametrize("path", ["/", "/api/v1/latest", "/static/css/portal.css", "/nothing"])
def test_every_answer_carries_the_security_headers(portal: Portal, path: str) -> None:
    """Pages, data, files and errors alike."""
    headers = portal.get(path).headers

    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_acknowledging_puts_a_command_into_the_inbox_and_waits(portal: Portal) -> None:
    """The page after it shows the acknowledged state once the outbox confirms."""

    def engine() -> None:
        while not commands(portal):
            pass
        event = alert("alert-1", NOW, kind="acknowledged", by="Ana", comment="x")
        portal.context.store.write([Entry(99, log.ALERTS, NOW, alerts_body(event))], 99)

    answering = threading.Thread(target=engine)
    answering.start()
    answer = portal.post(PATH, data=FORM, headers=OURS)
    answering.join()

    assert (answer.status_code, answer.headers["location"]) == (303, "/?severity=critical")
    assert commands(portal) == [
        AcknowledgeCommand(
            command="acknowledge", alert_id="alert-1", by="Ana", comment="Technician is on the way"
        )
    ]
    assert "Acknowledged by Ana" in portal.get("/").text


def test_without_confirmation_the_page_says_so(portal: Portal) -> None:
    """Nobody is told that it worked before it did."""
    answer = portal.post(PATH, data=FORM, headers=OURS)

    assert answer.headers["location"] == "/alerts/alert-1?sent=1"
    assert "waiting for confirmation" in portal.get("/alerts/alert-1?sent=1").text


@pytest.mark.parametrize("missing", ["by", "comment"])
def test_an_empty_field_keeps_what_was_typed(portal: Portal, missing: str) -> None:
    """The form comes back with the other text and the problem beside the field."""
    answer = portal.post(PATH, data={**FORM, missing: "  "}, headers=OURS)

    kept = ({"by", "comment"} - {missing}).pop()
    assert answer.status_code == 422
    assert FORM[kept] in answer.text
    assert "aria-invalid" in answer.text
    assert commands(portal) == []


def test_an_unknown_alert_cannot_be_acknowledged(portal: Portal) -> None:
    """There is nothing to put into the inbox."""
    answer = portal.post("/alerts/nothing/acknowledge", data=FORM, headers=OURS)

    assert answer.status_code == 404
    assert commands(portal) == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8642"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_other_sites_cannot_act(portal: Portal, headers: dict[str, str]) -> None:
    """A form on a strange page must not reach the inbox."""
    answer = portal.post(PATH, data=FORM, headers=headers)

    assert answer.status_code == 403
    assert commands(portal) == []


@pytest.mark.parametrize(
    "options",
    [{"client": "192.0.2.7"}, {"host": "rebound.example:8642"}],
)
def test_without_a_password_only_this_machine_may_act(
    portal: Portal, options: dict[str, Any]
) -> None:
    """The page names the setting that opens it to others."""
    origin = f"http://{options.get('host', '127.0.0.1:8642')}"

    answer = portal.post(PATH, data=FORM, headers={**OURS, "Origin": origin}, **options)

    assert answer.status_code == 403
    assert "LAMPPOST_HTTP__OPERATOR_PASSWORD" in answer.text
    assert commands(portal) == []


def test_with_a_password_it_is_asked_for(make_portal: MakePortal) -> None:
    """HTTP Basic, for every machine."""
    guarded = make_portal(operator_password="right")

    def status(headers: dict[str, str]) -> int:
        answer = guarded.post(PATH, data=FORM, headers={**OURS, **headers}, client="192.0.2.7")
        return answer.status_code

    refused = guarded.post(PATH, data=FORM, headers=OURS)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert status(credentials("wrong")) == 401
    assert status({"Authorization": "Basic §§"[:6] + "!!"}) == 401
    assert status(credentials("right")) == 303


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "http://evil.example", "/x"])
def test_the_way_back_never_leads_elsewhere(portal: Portal, back: str) -> None:
    """Only a query of the console may come from the form."""
    event = alert("alert-1", NOW, kind="acknowledged", by="Ana", comment="x")
    portal.context.store.write([Entry(99, log.ALERTS, NOW, alerts_body(event))], 99)

    answer = portal.post(PATH, data={**FORM, "back": back}, headers=OURS)

    assert answer.headers["location"] == "/alerts/alert-1"


def test_a_huge_form_is_refused(portal: Portal) -> None:
    """A comment is not a book."""
    answer = portal.post(PATH, data={**FORM, "comment": "x" * 20_000}, headers=OURS)

    assert answer.status_code == 413


def test_a_form_of_too_many_fields_is_refused(portal: Portal) -> None:
    """Whoever sends it made a mistake; we did not."""
    answer = portal.post(PATH, data={f"field-{n}": "x" for n in range(40)}, headers=OURS)

    assert answer.status_code == 400
    assert "at most 10 fields" in answer.text
    assert commands(portal) == []


def test_names_cannot_turn_the_text_around() -> None:
    """Direction and control characters are taken out."""
    assert clean("ab\u202ec\u2066d\x00\x1b[31m") == "abcd[31m"


def test_the_password_is_nowhere_to_be_read(make_portal: MakePortal) -> None:
    """Neither on a page nor in the metrics."""
    guarded = make_portal(operator_password="canary-4711", push_token="canary-0815")

    for path in ("/", "/api", "/metrics", "/healthz", "/api/v1/openapi.json", "/nothing"):
        assert "canary" not in guarded.get(path).text
