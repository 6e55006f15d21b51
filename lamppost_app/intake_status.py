# SPDX-License-Identifier: EUPL-1.2
"""What the intake knows of its broker, in a small file for the portal and for people."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError

from lamppost import events
from lamppost.times import SECOND_NS

_DAY_S = 86_400


class BrokerFinding(BaseModel):
    """One thing the self-check found; see ``ingest.broker_findings``."""

    subject: str
    severity: str
    found: str
    line: str = ""


class IntakeStatus(BaseModel):
    """The state of the MQTT door.

    Attributes:
        broker: host and port.
        connected: whether the broker has accepted us and not gone since.
        certificate_expires_at: when its certificate expires, seconds since 1970; None without TLS.
        findings: what the self-check found; empty before it ended and when it is off.
    """

    broker: str
    connected: bool = False
    certificate_expires_at: float | None = None
    findings: list[BrokerFinding] = []

    def certificate_days(self, now_ns: int) -> float | None:
        """Return how many days the broker's certificate is good for, negative once expired."""
        if self.certificate_expires_at is None:
            return None
        return (self.certificate_expires_at - now_ns / SECOND_NS) / _DAY_S

    def write(self, path: Path) -> None:
        """Write it, whole or not at all; a disk that refuses costs this file only."""
        draft = path.with_suffix(".tmp")
        try:
            draft.write_text(self.model_dump_json(), encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            events.warning("intake_status_not_written", path=path, problem=error)


def read_status(path: Path) -> IntakeStatus | None:
    """Return what the intake wrote last, None if it has not."""
    try:
        return IntakeStatus.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
