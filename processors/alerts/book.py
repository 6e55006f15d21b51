# SPDX-License-Identifier: EUPL-1.2
"""The alert book: the life of each alert, from the first signal to its end."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from lamppost.alerts import AcknowledgeCommand, AlertEvent, EventKind, Severity, Signal
from lamppost.policy import AlertRule
from lamppost.state import Snapshot
from lamppost.times import SECOND_NS

_ID_DIGITS = 12


class _Key(NamedTuple):
    """What an alert is about; there is at most one open alert for each."""

    rule: str
    subject: str
    quantity: str
    qualifiers: str


class _Evidence(BaseModel):
    """The newest signal in a form JSON can hold: None stands for NaN."""

    model_config = ConfigDict(frozen=True)

    observed: float | None
    expected: float | None
    band_low: float | None
    band_high: float | None
    unit: str
    sentence: str
    clears_when: str

    @classmethod
    def of(cls, signal: Signal) -> _Evidence:
        """Take the evidence out of a signal."""
        return cls(
            observed=_finite(signal.observed),
            expected=_finite(signal.expected),
            band_low=_finite(signal.band_low),
            band_high=_finite(signal.band_high),
            unit=signal.unit,
            sentence=signal.sentence,
            clears_when=signal.clears_when,
        )


class _Alert(BaseModel):
    """One open alert: pending until it fires, then firing until it resolves."""

    key: _Key
    policy: str
    title: str
    severity: Severity
    clear_for_s: float
    since: int
    evidence: _Evidence
    alert_id: str
    fired: bool = False
    clearing_at: int | None = None
    clearing_now: int | None = None

    def event(self, kind: EventKind, at: int, *, by: str = "", comment: str = "") -> AlertEvent:
        """Return an event that shows the alert as it stands."""
        return AlertEvent(
            alert_id=self.alert_id,
            kind=kind,
            at=at,
            rule=self.key.rule,
            title=self.title,
            severity=self.severity,
            policy=self.policy,
            sensor=self.key.subject,
            quantity=self.key.quantity,
            qualifiers=self.key.qualifiers,
            since=self.since,
            **self.evidence.model_dump(),
            by=by,
            comment=comment,
        )


class AlertBook:
    """Turns signals into alert events: pending, firing, acknowledged, resolved.

    An alert fires when its condition has held for the rule's ``for_s`` and resolves when it has not
    held for ``clear_for_s``. Both are measured in the time of the evidence; when no evidence comes
    any more, ticks of the engine's clock resolve what is waiting to be resolved.
    """

    def __init__(self) -> None:
        """Start without alerts."""
        self._open: dict[_Key, _Alert] = {}
        self._by_id: dict[str, _Key] = {}

    def apply(
        self,
        rule_id: str,
        rule: AlertRule,
        policy_version: str,
        signals: Sequence[Signal],
        now: int,
    ) -> list[AlertEvent]:
        """Take in what one rule says, in order, and return what became of its alerts."""
        events: list[AlertEvent] = []
        for signal in signals:
            key = _Key(rule_id, signal.subject, signal.quantity, signal.qualifiers)
            if signal.active:
                alert = self._open.get(key) or self._begin(key, rule, policy_version, signal)
                events += self._holds(alert, rule, signal, now)
            elif key in self._open:
                events += self._ends(self._open[key], signal, now)
        return events

    def tick(self, now: int) -> list[AlertEvent]:
        """Let engine time pass: resolve what has been clearing for long enough."""
        due = [
            alert
            for alert in self._open.values()
            if alert.clearing_now is not None
            and now - alert.clearing_now >= alert.clear_for_s * SECOND_NS
        ]
        return [self._resolve(alert, now) for alert in due]

    def acknowledge(self, command: AcknowledgeCommand, now: int) -> AlertEvent | None:
        """Note that an operator has seen an alert; None when no open alert has that id."""
        key = self._by_id.get(command.alert_id)
        if key is None:
            return None
        return self._open[key].event("acknowledged", now, by=command.by, comment=command.comment)

    def retire(self, kept: Collection[str], now: int) -> list[AlertEvent]:
        """Resolve the alerts of rules that are no longer in force, or were changed.

        Args:
            kept: rules that go on as they were.
            now: engine time, ns UTC.
        """
        events = []
        for alert in [alert for alert in self._open.values() if alert.key.rule not in kept]:
            sentence = "the rule was changed or removed from the policy"
            alert.evidence = alert.evidence.model_copy(update={"sentence": sentence})
            resolved = self._resolve(alert, now)
            if alert.fired:
                events.append(resolved)
        return events

    def snapshot(self) -> Snapshot:
        """Return the open alerts as JSON."""
        content = [alert.model_dump(mode="json") for alert in self._open.values()]
        return {"json": np.frombuffer(json.dumps(content).encode(), np.uint8)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the open alerts."""
        content = json.loads(np.asarray(snapshot["json"], np.uint8).tobytes())
        alerts = [_Alert.model_validate(item) for item in content]
        self._open = {alert.key: alert for alert in alerts}
        self._by_id = {alert.alert_id: alert.key for alert in alerts if alert.fired}

    def _begin(self, key: _Key, rule: AlertRule, policy_version: str, signal: Signal) -> _Alert:
        alert = _Alert(
            key=key,
            policy=policy_version,
            title=rule.title,
            severity=rule.severity,
            clear_for_s=rule.clear_for_s,
            since=signal.at,
            evidence=_Evidence.of(signal),
            alert_id=_alert_id(key, signal.at),
        )
        self._open[key] = alert
        return alert

    def _holds(self, alert: _Alert, rule: AlertRule, signal: Signal, now: int) -> list[AlertEvent]:
        alert.evidence = _Evidence.of(signal)
        alert.clearing_at = alert.clearing_now = None
        if alert.fired or signal.at - alert.since < rule.for_s * SECOND_NS:
            return []
        alert.fired = True
        self._by_id[alert.alert_id] = alert.key
        return [alert.event("firing", now)]

    def _ends(self, alert: _Alert, signal: Signal, now: int) -> list[AlertEvent]:
        if not alert.fired:
            self._drop(alert)
            return []
        alert.evidence = _Evidence.of(signal)
        if alert.clearing_at is None:
            alert.clearing_at, alert.clearing_now = signal.at, now
        if signal.at - alert.clearing_at < alert.clear_for_s * SECOND_NS:
            return []
        return [self._resolve(alert, now)]

    def _resolve(self, alert: _Alert, now: int) -> AlertEvent:
        self._drop(alert)
        return alert.event("resolved", now)

    def _drop(self, alert: _Alert) -> None:
        self._open.pop(alert.key)
        self._by_id.pop(alert.alert_id, None)


def _alert_id(key: _Key, since: int) -> str:
    text = "\x1f".join((*key, str(since)))
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
