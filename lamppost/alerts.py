# SPDX-License-Identifier: EUPL-1.2
"""Alerts: what a rule signals, and the events that make up an alert's life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["info", "warning", "critical"]
EventKind = Literal["firing", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class Signal:
    """What a rule says about one subject at one instant.

    Attributes:
        subject: sensor the signal is about.
        quantity: canonical quantity, or "" where the rule is about the device.
        qualifiers: of the series, or "".
        active: whether the rule's condition holds.
        at: event time of the evidence, ns UTC.
        observed: the number judged.
        expected: the number it was held against (threshold, baseline, permitted silence).
        band_low, band_high: the usual band, NaN where the rule has none.
        unit: unit of the numbers.
        sentence: why, in plain language.
        clears_when: what would clear it, in plain language.
    """

    subject: str
    quantity: str
    qualifiers: str
    active: bool
    at: int
    observed: float
    expected: float
    band_low: float
    band_high: float
    unit: str
    sentence: str
    clears_when: str


class AlertEvent(BaseModel):
    """One event in an alert's life, complete enough to show the alert from it alone.

    Attributes:
        alert_id: stable identity of the alert.
        kind: what happened to it.
        at: when, ns UTC, engine time.
        rule, title, severity: the rule that fired.
        policy: content hash of the policy the rule stands in.
        sensor, quantity, qualifiers: what it is about.
        since: event time the condition began, ns UTC.
        observed, expected, band_low, band_high, unit: the evidence (None where there is none).
        sentence: why, in plain language.
        clears_when: what would clear it.
        by, comment: who acted and what they said, for acknowledgements.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alert_id: str
    kind: EventKind
    at: int
    rule: str
    title: str
    severity: Severity
    policy: str
    sensor: str
    quantity: str
    qualifiers: str
    since: int
    observed: float | None
    expected: float | None
    band_low: float | None
    band_high: float | None
    unit: str
    sentence: str
    clears_when: str
    by: str = ""
    comment: str = ""


class AcknowledgeCommand(BaseModel):
    """An operator says: seen, and what is done about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Literal["acknowledge"]
    alert_id: str
    by: str
    comment: str
