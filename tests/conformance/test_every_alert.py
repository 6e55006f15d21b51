# SPDX-License-Identifier: EUPL-1.2
"""Laws every registered alert rule obeys; a new one is picked up by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lamppost.batch import AggregateBatch, IndexBatch, JudgedBatch
from lamppost.clock_skew import ClockBatch
from lamppost.component import Alert, Component, Observed
from lamppost.policy import AlertRule
from lamppost.series import SeriesTable
from lamppost.times import DAY_NS, HOUR_NS, SECOND_NS
from processors.alerts.book import AlertBook
from tests.processor_conformance import (
    POLICY,
    STATIONS,
    assert_described,
    assert_same,
    components,
    law,
    make,
)
from tests.strategies import KEYS, START_NS, aggregates, clocks, indices, judged

every_alert = pytest.mark.parametrize(
    "component", components("alert").values(), ids=lambda found: found.name
)
every_rule = pytest.mark.parametrize("rule_id", POLICY.alerts)
NOW = START_NS + HOUR_NS


def observed(
    readings: JudgedBatch, windows: AggregateBatch, values: IndexBatch, *, ticked: bool = False
) -> Observed:
    """Return a step in which some things happened, all of them a moment ago."""
    return Observed(
        now=NOW,
        ticked=ticked,
        judged=replace(readings, time=NOW - HOUR_NS // 2 + np.argsort(np.argsort(readings.time))),
        aggregates=windows,
        indices=values,
        last_received=np.full(len(KEYS), NOW - DAY_NS, np.int64),
    )


def nothing(now: int, *, ticked: bool = False) -> Observed:
    """Return a step in which nothing happened."""
    step = observed(JudgedBatch.empty(), AggregateBatch.empty(), IndexBatch.empty(), ticked=ticked)
    return replace(step, now=now)


def build(component: Component) -> Alert:
    """Build a rule as the engine does."""
    return make(component, SeriesTable(KEYS), STATIONS)


def build_rule(rule_id: str) -> Alert:
    """Build a rule of the default policy."""
    rule = POLICY.alerts[rule_id]
    component = components("alert")[rule.use]
    settings = component.parse(rule.settings, rule_id)
    return component.cls(settings, SeriesTable(KEYS), STATIONS)


def told(rule: Alert, spec: AlertRule, steps: Sequence[Observed]) -> list[tuple[str, str, int]]:
    """Return the life of all alerts a rule leads to."""
    book = AlertBook()
    return sorted(
        (event.alert_id, event.kind, event.since)
        for step in steps
        for event in book.apply("rule", spec, "policy", rule.evaluate(step), step.now)
    )


def cut(step: Observed) -> list[Observed]:
    """Return a step as one step for each row of its batches."""
    empty = nothing(step.now)
    return [
        *(
            replace(empty, judged=step.judged.take(slice(i, i + 1)))
            for i in range(len(step.judged))
        ),
        *(
            replace(empty, aggregates=step.aggregates.take(slice(i, i + 1)))
            for i in range(len(step.aggregates))
        ),
        *(
            replace(empty, indices=step.indices.take(slice(i, i + 1)))
            for i in range(len(step.indices))
        ),
    ]


@every_alert
def test_a_rule_is_described(component: Component) -> None:
    """Name, summary and every setting say what they are for."""
    assert_described(component)


@every_alert
def test_nothing_observed_gives_no_signal(component: Component) -> None:
    """Nothing in, nothing out."""
    assert build(component).evaluate(nothing(NOW)) == []


@every_rule
@law(readings=judged(), windows=aggregates(), values=indices(), skews=clocks())
def test_signals_are_complete(
    rule_id: str,
    readings: JudgedBatch,
    windows: AggregateBatch,
    values: IndexBatch,
    skews: ClockBatch,
) -> None:
    """Each names its subject and says in words why, and what would clear it."""
    rule = build_rule(rule_id)
    for seconds in range(1_000, 0, -50):
        rule.evaluate(nothing(NOW - seconds * SECOND_NS, ticked=True))

    step = replace(observed(readings, windows, values, ticked=True), clocks=skews)
    for signal in rule.evaluate(step):
        assert signal.subject in {*STATIONS, *(key.sensor for key in KEYS)}
        assert signal.sentence
        assert signal.clears_when
        assert "nan" not in signal.sentence
        assert not (signal.active and math.isnan(signal.observed))


@every_rule
@law(readings=judged(), windows=aggregates(), values=indices())
def test_alerts_do_not_depend_on_the_cut(
    rule_id: str, readings: JudgedBatch, windows: AggregateBatch, values: IndexBatch
) -> None:
    """One step and one step for each row lead to the same alerts."""
    windows = windows.take(np.argsort(windows.start + windows.length, kind="stable"))
    step = observed(readings, windows, values)
    spec = POLICY.alerts[rule_id]

    whole = told(build_rule(rule_id), spec, [step])

    assert told(build_rule(rule_id), spec, cut(step)) == whole


@every_alert
@law(readings=judged(), windows=aggregates(), values=indices(), skews=clocks())
def test_a_restored_rule_goes_on_as_if_nothing_had_been(
    component: Component,
    readings: JudgedBatch,
    windows: AggregateBatch,
    values: IndexBatch,
    skews: ClockBatch,
) -> None:
    """A snapshot holds the whole state, and later calls do not change it."""
    uninterrupted = build(component)
    for seconds in range(1_000, 0, -50):
        uninterrupted.evaluate(nothing(NOW - seconds * SECOND_NS, ticked=True))
    uninterrupted.evaluate(observed(readings, windows, values))
    uninterrupted.evaluate(replace(nothing(NOW, ticked=True), clocks=skews))
    snapshot = uninterrupted.snapshot()
    later = [nothing(NOW + step * HOUR_NS // 4, ticked=True) for step in range(1, 16)]
    later[5] = replace(later[5], clocks=replace(skews, skew=skews.skew // 2))
    expected = [repr(uninterrupted.evaluate(step)) for step in later]
    restored = build(component)
    restored.restore(snapshot)

    assert [repr(restored.evaluate(step)) for step in later] == expected
    assert_same(restored.snapshot(), uninterrupted.snapshot())
