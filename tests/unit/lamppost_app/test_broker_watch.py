# SPDX-License-Identifier: EUPL-1.2
"""Days of a certificate are said once per threshold; the status file survives anything."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from ingest.broker_findings import Finding, Severity
from ingest.mqtt_source import MqttSource
from lamppost.clock import ManualClock
from lamppost_app import broker_watch
from lamppost_app.broker_watch import CertificateWatch
from lamppost_app.intake import mqtt_options
from lamppost_app.intake_status import BrokerFinding, IntakeStatus, read_status
from lamppost_app.settings import MqttSettings


def test_each_threshold_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """30, 14 and 3 days before, and when it has expired; the last two are errors."""
    watch = CertificateWatch("city:8883")
    said = []
    with caplog.at_level(logging.WARNING, "lamppost"):
        for days in (90.0, 31.0, 29.9, 29.8, 14.0, 13.0, 3.0, 2.9, 0.1, -0.1, -5.0):
            before = len(caplog.records)
            watch.look(days)
            said += [(days, one.levelname) for one in caplog.records[before:]]

    assert said == [(29.9, "WARNING"), (14.0, "WARNING"), (3.0, "ERROR"), (-0.1, "ERROR")]
    assert "expires in 29.9 days" in caplog.records[0].message
    assert "has expired" in caplog.records[-1].message


def test_a_renewed_certificate_is_watched_anew(caplog: pytest.LogCaptureFixture) -> None:
    """And one that is about to expire when first seen is said at once, at its own threshold."""
    watch = CertificateWatch("city:8883")
    with caplog.at_level(logging.WARNING, "lamppost"):
        for days in (None, 2.0, 365.0, 2.0):
            watch.look(days)

    assert len(caplog.records) == 2


def test_the_status_comes_back_as_written(tmp_path: Path) -> None:
    """With what the self-check found."""
    status = IntakeStatus(
        broker="city:8883",
        connected=True,
        certificate_expires_at=86_400.0 * 10,
        findings=[BrokerFinding(subject="queue", severity="note", found="x", line="y")],
    )
    status.write(tmp_path / "intake.json")

    assert read_status(tmp_path / "intake.json") == status
    assert status.certificate_days(86_400 * 10**9) == 9.0


def test_a_damaged_or_missing_status_is_none(tmp_path: Path) -> None:
    """The portal shows what it has."""
    (tmp_path / "intake.json").write_text("{")

    assert read_status(tmp_path / "intake.json") is None
    assert read_status(tmp_path / "none.json") is None


def test_a_disk_that_refuses_costs_the_file_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is raised."""
    with caplog.at_level(logging.WARNING, "lamppost"):
        IntakeStatus(broker="b").write(tmp_path / "missing" / "intake.json")

    assert "intake_status_not_written" in caplog.text


def test_a_check_cut_short_by_the_end_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it did not get to is no finding about the broker."""
    stop = asyncio.Event()

    def cut_short(*_: object, **__: object) -> list[Finding]:
        stop.set()
        return [Finding("queue while away", Severity.UNCHECKED, "no time left")]

    monkeypatch.setattr(broker_watch, "check_broker", cut_short)
    settings = MqttSettings()
    options, path = mqtt_options(settings), tmp_path / "intake.json"
    watch = broker_watch.BrokerWatch(settings, options, ManualClock(0), path)
    source = MqttSource(options, ManualClock(0), lambda _: None)
    monkeypatch.setattr(MqttSource, "connected", True)

    with caplog.at_level(logging.INFO, "lamppost"):
        asyncio.run(watch.run(source, stop))

    assert caplog.text == ""
