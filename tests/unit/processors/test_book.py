# SPDX-License-Identifier: EUPL-1.2
"""The alert book: every way through an alert's life."""

from __future__ import annotations

from lamppost.alerts import AcknowledgeCommand, AlertEvent, Signal
from lamppost.policy import AlertRule
from lamppost.times import SECOND_NS
from processors.alerts.book import AlertBook
from tests.processor_cases import NAN, START_NS

AT_ONCE = AlertRule(use="threshold", title="High", severity="critical")
PATIENT = AlertRule(use="threshold", title="High", for_s=60, clear_for_s=120)


def signal(second: int, *, active: bool = True, subject: str = "aq-1") -> Signal:
    """Return a signal at a second."""
    return Signal(
        subject=subject,
        quantity="pm2_5",
        qualifiers="",
        active=active,
        at=START_NS + second * SECOND_NS,
        observed=100.0 + second,
        expected=75.0,
        band_low=NAN,
        band_high=NAN,
        unit="ug/m3",
        sentence="high" if active else "no longer high",
        clears_when="it falls",
    )


def apply(book: AlertBook, rule: AlertRule, *signals: Signal, now: int = 0) -> list[AlertEvent]:
    """Put signals into the book at a second."""
    return book.apply("rule", rule, "policy-1", signals, START_NS + now * SECOND_NS)


def acknowledgement(alert_id: str) -> AcknowledgeCommand:
    """Return an operator's command."""
    return AcknowledgeCommand(command="acknowledge", alert_id=alert_id, by="ops", comment="seen")


def test_without_waiting_it_fires_and_resolves_at_once() -> None:
    """Events carry the evidence, NaN as None."""
    book = AlertBook()

    (firing,) = apply(book, AT_ONCE, signal(0), now=5)
    (resolved,) = apply(book, AT_ONCE, signal(10, active=False), now=15)

    assert (firing.kind, firing.severity, firing.policy) == ("firing", "critical", "policy-1")
    assert (firing.since, firing.at) == (START_NS, START_NS + 5 * SECOND_NS)
    assert (firing.observed, firing.band_low, firing.sentence) == (100.0, None, "high")
    assert (resolved.kind, resolved.alert_id) == ("resolved", firing.alert_id)
    assert resolved.sentence == "no longer high"


def test_it_fires_once_while_it_goes_on() -> None:
    """Further signals refresh the evidence silently."""
    book = AlertBook()
    (firing,) = apply(book, AT_ONCE, signal(0))

    assert apply(book, AT_ONCE, signal(10), signal(20)) == []
    acknowledged = book.acknowledge(acknowledgement(firing.alert_id), START_NS)
    assert acknowledged is not None
    assert acknowledged.observed == 120.0


def test_a_pending_alert_fires_after_for_s_of_evidence() -> None:
    """Measured in the time of the evidence, from its beginning."""
    book = AlertBook()

    assert apply(book, PATIENT, signal(0), signal(59)) == []
    (firing,) = apply(book, PATIENT, signal(60))

    assert firing.since == START_NS


def test_a_pending_alert_that_ends_says_nothing() -> None:
    """And the next one begins anew."""
    book = AlertBook()

    assert apply(book, PATIENT, signal(0), signal(30, active=False), signal(61)) == []
    assert book.tick(START_NS + 10_000 * SECOND_NS) == []


def test_it_resolves_after_clear_for_s_unless_it_comes_back() -> None:
    """By later evidence."""
    book = AlertBook()
    apply(book, PATIENT, signal(0), signal(60))

    assert apply(book, PATIENT, signal(100, active=False), signal(150), now=150) == []
    assert apply(book, PATIENT, signal(160, active=False), now=160) == []
    (resolved,) = apply(book, PATIENT, signal(280, active=False), now=280)

    assert resolved.kind == "resolved"


def test_ticks_resolve_when_no_evidence_comes_any_more() -> None:
    """Waiting to be resolved needs no further signal."""
    book = AlertBook()
    apply(book, PATIENT, signal(0), signal(60))
    apply(book, PATIENT, signal(100, active=False), now=100)

    assert book.tick(START_NS + 219 * SECOND_NS) == []
    (resolved,) = book.tick(START_NS + 220 * SECOND_NS)

    assert resolved.kind == "resolved"
    assert book.tick(START_NS + 999 * SECOND_NS) == []


def test_acknowledging_notes_who_and_what_every_time() -> None:
    """Unknown and resolved alerts have nobody to thank."""
    book = AlertBook()
    (firing,) = apply(book, AT_ONCE, signal(0))

    first = book.acknowledge(acknowledgement(firing.alert_id), START_NS + 1)
    again = book.acknowledge(acknowledgement(firing.alert_id), START_NS + 2)
    assert first is not None
    assert again is not None
    assert (first.kind, first.by, first.comment) == ("acknowledged", "ops", "seen")
    assert again.at == START_NS + 2
    assert book.acknowledge(acknowledgement("0123456789ab"), START_NS) is None

    apply(book, AT_ONCE, signal(5, active=False))
    assert book.acknowledge(acknowledgement(firing.alert_id), START_NS) is None


def test_alerts_have_stable_identities_of_their_own() -> None:
    """Twelve digits that depend on rule, subject and beginning, and on nothing else."""
    (one,) = apply(AlertBook(), AT_ONCE, signal(0))
    (same,) = apply(AlertBook(), AT_ONCE, signal(0), now=99)
    (later,) = apply(AlertBook(), AT_ONCE, signal(1))
    (other,) = apply(AlertBook(), AT_ONCE, signal(0, subject="aq-2"))

    assert one.alert_id == same.alert_id
    assert len({one.alert_id, later.alert_id, other.alert_id}) == 3
    assert len(one.alert_id) == 12


def test_alerts_of_a_rule_that_is_gone_are_resolved() -> None:
    """Otherwise nothing would ever clear them."""
    book = AlertBook()
    apply(book, AT_ONCE, signal(0))
    apply(book, PATIENT, signal(0, subject="aq-2"))

    (resolved,) = book.retire({"other"}, START_NS + SECOND_NS)

    assert (resolved.kind, resolved.sensor) == ("resolved", "aq-1")
    assert "policy" in resolved.sentence
    assert apply(book, AT_ONCE, signal(9, active=False)) == []


def test_a_restored_book_goes_on_with_every_alert() -> None:
    """Pending, firing and clearing ones alike."""
    book = AlertBook()
    (firing,) = apply(book, AT_ONCE, signal(0))
    apply(book, PATIENT, signal(0, subject="aq-2"))
    apply(book, PATIENT, signal(0, subject="aq-3"), signal(60, subject="aq-3"))
    apply(book, PATIENT, signal(70, active=False, subject="aq-3"), now=70)
    restored = AlertBook()

    restored.restore(book.snapshot())

    assert restored.snapshot()["json"].tobytes() == book.snapshot()["json"].tobytes()
    assert restored.acknowledge(acknowledgement(firing.alert_id), START_NS) is not None
    assert [event.sensor for event in apply(restored, PATIENT, signal(60, subject="aq-2"))] == [
        "aq-2"
    ]
    assert [event.sensor for event in restored.tick(START_NS + 190 * SECOND_NS)] == ["aq-3"]
