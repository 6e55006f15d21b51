# SPDX-License-Identifier: EUPL-1.2
"""Supervisors and Prometheus are told the truth."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lamppost.log import TICK, Record
from lamppost.times import SECOND_NS
from lamppost_app.intake_status import BrokerFinding, IntakeStatus
from lamppost_app.portal.app import create_app
from lamppost_app.portal.health import backlog
from tests.unit.portal.conftest import NOW, Portal


def test_a_working_portal_is_ok_when_ticks_arrive(portal: Portal) -> None:
    """200, with the age of the last tick."""
    assert portal.get("/healthz").json()["status"] == "degraded"

    portal.context.inbox.append([Record(TICK, NOW - 3_000_000_000, b"")])
    answer = portal.get("/healthz")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["last_tick_age_s"] == 3.0


@pytest.mark.parametrize(("age_s", "status"), [(9, "ok"), (11, "degraded"), (28, "degraded")])
def test_ticks_that_stay_away_are_said(portal: Portal, age_s: int, status: str) -> None:
    """Still 200: restarting the portal would not bring intake back."""
    portal.context.inbox.append([Record(TICK, NOW - age_s * SECOND_NS, b"")])

    answer = portal.get("/healthz")

    assert answer.status_code == 200
    assert answer.json()["status"] == status


def test_an_engine_that_does_not_keep_up_is_said(portal: Portal) -> None:
    """Entries come in and nothing is made of them: what is shown is old."""
    portal.context.inbox.append([Record(TICK, NOW - 20 * SECOND_NS, b"")] * 2)
    last = portal.context.inbox.append([Record(TICK, NOW - SECOND_NS, b"")])
    found = {}
    for position in (0, last - 1, last):
        context = replace(portal.context, engine_position=lambda at=position: at)
        found[position] = Portal(context, create_app(context)).get("/healthz").json()

    assert [one["status"] for one in found.values()] == ["degraded", "ok", "ok"]
    assert [one["engine_behind_s"] for one in found.values()] == [20.0, 1.0, 0.0]


def test_a_dead_feed_or_store_is_down(portal: Portal) -> None:
    """503, so that a supervisor restarts the portal."""
    dead = Portal(portal.context, create_app(replace(portal.context, feed_alive=lambda: False)))
    assert dead.get("/healthz").status_code == 503

    portal.context.store.close()
    assert portal.get("/healthz").status_code == 503


def test_the_backlog_counts_what_waits_before_engine_and_store(portal: Portal) -> None:
    """Both queues count."""
    portal.context.inbox.append([Record(TICK, NOW, b"")] * 5)
    stored = portal.context.store.cursor()
    portal.context.outbox.append([Record("alerts", NOW, b"[]")] * (stored + 2))
    context = replace(portal.context, engine_position=lambda: 2)

    assert backlog(context) == 2 + 3


def test_metrics_follow_the_naming_rule_and_name_no_sensor(portal: Portal) -> None:
    """lamppost_<noun>_<unit>, counters end in _total, labels are bounded."""
    text = portal.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}

    assert all(re.fullmatch(r"lamppost_[a-z_]+", name) for name in families)
    assert "aq-001" not in text
    accepted = [
        sample.value
        for sample in families["lamppost_ledger_items"].samples
        if sample.labels == {"source": "mqtt", "outcome": "accepted"}
    ]
    assert accepted == [460.0]
    assert families["lamppost_quarantine_messages"].samples


def test_the_days_of_the_brokers_certificate_are_shown(portal: Portal) -> None:
    """On the console once they are few, and always for Prometheus."""
    path = portal.context.settings.intake_status_path
    now_s = NOW / SECOND_NS
    finding = BrokerFinding(subject="queue", severity="LOSES DATA", found="x")
    for days, shown in ((90.5, ""), (12.5, "expires in 12 days"), (-1.0, "has expired")):
        status = IntakeStatus(
            broker="city:8883",
            connected=True,
            certificate_expires_at=now_s + days * 86_400,
            findings=[finding],
        )
        status.write(path)
        page = portal.get("/").text
        assert ("health-certificate" in page) == bool(shown)
        assert shown in page

    text = portal.get("/metrics").text
    assert "lamppost_broker_certificate_expiry_timestamp_seconds" in text
    assert "lamppost_broker_losing_findings 1.0" in text
    assert "lamppost_broker_connected 1.0" in text
