# SPDX-License-Identifier: EUPL-1.2
"""Beside the intake: the self-check of the broker, and the days its certificate has left."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from ingest.broker_check import check_broker
from ingest.broker_findings import Finding, Severity, losses, worst_first
from ingest.mqtt import MqttOptions
from ingest.mqtt_source import MqttSource
from lamppost import events
from lamppost.clock import Clock
from lamppost.errors import ConfigError, NotConnected

from .intake_status import BrokerFinding, IntakeStatus
from .settings import MqttSettings

_LOOK_S: Final = 0.5
_CHECK_S: Final = 30.0
_WARN_DAYS: Final = (30.0, 14.0, 3.0, 0.0)
_URGENT_DAYS: Final = 3.0


class CertificateWatch:
    """Says once per threshold that the broker's certificate is about to expire."""

    def __init__(self, broker: str) -> None:
        """Take what to name in the log."""
        self._broker = broker
        self._said: float | None = None

    def look(self, days: float | None) -> None:
        """Take how many days are left now, None without a certificate."""
        passed = [] if days is None else [limit for limit in _WARN_DAYS if days <= limit]
        limit = min(passed, default=None)
        if limit is not None and (self._said is None or limit < self._said):
            self._say(days or 0.0)
        self._said = limit

    def _say(self, days: float) -> None:
        say = events.error if days <= _URGENT_DAYS else events.warning
        left = "has expired" if days <= 0 else f"expires in {days:.1f} days"
        problem = f"the broker's certificate {left}: renew it there, or no connection is made then"
        say("mqtt_certificate_expires", broker=self._broker, days=f"{days:.1f}", problem=problem)


class BrokerWatch:
    """Looks at the broker once it is connected, and at the connection from then on.

    Attributes:
        refusal: why Lamppost must not run with this broker; None while nothing speaks against it.
    """

    def __init__(
        self, settings: MqttSettings, options: MqttOptions, clock: Clock, path: Path
    ) -> None:
        """Take the settings, and the file that tells the portal."""
        self.refusal: ConfigError | None = None
        self._settings = settings
        self._options = options
        self._clock = clock
        self._path = path
        self._checked = settings.self_check == "off"
        self._status = IntakeStatus(broker=options.place)
        self._certificate = CertificateWatch(options.place)

    async def run(self, source: MqttSource, stop: asyncio.Event) -> None:
        """Watch until told to stop; on a refusal, tell everybody to stop."""
        self._status.write(self._path)
        while not stop.is_set():
            self._look(source)
            if source.connected and not self._checked:
                await self._check(stop)
            try:
                await asyncio.wait_for(stop.wait(), _LOOK_S)
            except TimeoutError:
                continue

    def _look(self, source: MqttSource) -> None:
        """Note what has changed of the connection."""
        expires_at = source.certificate_expires_at
        changed: dict[str, object] = {
            "connected": source.connected,
            "certificate_expires_at": expires_at,
        }
        self._update(changed)
        self._certificate.look(self._status.certificate_days(self._clock.now_ns()))

    def _update(self, changed: dict[str, object]) -> None:
        status = self._status.model_copy(update=changed)
        if status != self._status:
            self._status = status
            status.write(self._path)

    async def _check(self, stop: asyncio.Event) -> None:
        """Run the self-check in a thread, so that readings go on meanwhile."""
        try:
            findings = await self._found(stop)
            if losses(findings) and not stop.is_set():
                # A broker that restarts meanwhile forgets what was only just begun: look again.
                findings = await self._found(stop)
        except NotConnected:
            return  # gone again: look at the next connection
        except ConfigError as error:
            self._checked, self.refusal = True, error
            stop.set()
            return
        if stop.is_set():
            return  # cut short: what was not looked at says nothing about the broker
        self._checked = True
        self._update({"findings": [_plain(one) for one in worst_first(findings)]})
        self._report(findings)
        lost = losses(findings)
        if lost and self._settings.self_check == "refuse":
            self.refusal = _refusal(lost, self._options.place)
            stop.set()

    async def _found(self, stop: asyncio.Event) -> list[Finding]:
        return await asyncio.to_thread(
            check_broker,
            self._options,
            self._settings.broker_config,
            seconds=_CHECK_S,
            stopped=stop.is_set,
        )

    def _report(self, findings: list[Finding]) -> None:
        for one in worst_first(findings):
            facts = {"subject": one.subject, "found": one.found, "why": one.why, "line": one.line}
            if one.severity is Severity.LOSES_DATA:
                events.error("broker_loses_readings", **facts)
            elif one.severity in {Severity.LIMITS, Severity.UNCHECKED}:
                severity = one.severity.value
                events.warning("broker_could_be_better", severity=severity, **facts)
        events.info("broker_checked", broker=self._options.place, losing=len(losses(findings)))


def _plain(finding: Finding) -> BrokerFinding:
    return BrokerFinding(
        subject=finding.subject,
        severity=finding.severity.value,
        found=finding.found,
        line=finding.line,
    )


def _refusal(lost: list[Finding], broker: str) -> ConfigError:
    problem = "this broker would lose readings: " + "; ".join(
        f"{one.subject}: {one.found}" for one in lost
    )
    lines: dict[str, list[str]] = {}
    for one in lost:
        if one.line and one.line not in lines.setdefault(one.file, []):
            lines[one.file].append(one.line)
    hints = [f"put into {file}: {' and '.join(wanted)}" for file, wanted in lines.items()]
    hints.append('to run all the same, set mqtt.self_check = "warn"')
    return ConfigError(problem, where=broker, hint="; ".join(hints))
