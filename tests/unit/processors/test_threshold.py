# SPDX-License-Identifier: EUPL-1.2
"""Threshold rules: limits, hysteresis, coverage, corrections."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lamppost.alerts import Signal
from lamppost.batch import IndexBatch
from lamppost.errors import ConfigError
from lamppost.index_needs import Weighs
from lamppost.times import HOUR_NS, MINUTE_NS
from tests.processor_cases import NAN, START_NS, build, hours, step, table, windows

NOW = START_NS + HOUR_NS
HIGH = {"quantity": "pm2_5", "window": "15min", "above": 75, "clear_below": 55}


def rule(settings: dict[str, Any]) -> Any:  # noqa: ANN401 - the rule
    """Build a rule over a PM2.5 and a speed series."""
    return build("alert", "threshold", settings, table("pm2_5", "speed"), {})


def said(signals: list[Signal]) -> list[bool]:
    """Return whether each signal is active."""
    return [signal.active for signal in signals]


def test_above_is_strict_and_the_sentence_has_numbers_and_units() -> None:
    """75 is not above 75."""
    threshold = rule(HIGH)
    assert threshold.evaluate(step(NOW, aggregates=windows([75.0]))) == []

    (signal,) = threshold.evaluate(step(NOW, aggregates=windows([182.34], first=1)))

    assert signal.sentence == "PM2.5 15min mean 182.3 µg/m³ is above 75 µg/m³"
    assert signal.clears_when == "PM2.5 15min mean falls to 55 µg/m³"
    assert (signal.subject, signal.quantity, signal.unit) == ("aq-1", "pm2_5", "ug/m3")
    assert (signal.observed, signal.expected, signal.at) == (182.34, 75, START_NS + HOUR_NS // 2)


def test_hysteresis_makes_swinging_values_one_alert() -> None:
    """Between both limits it stays as it was."""
    threshold = rule(HIGH)

    signals = threshold.evaluate(step(NOW, aggregates=windows([80, 60, 80, 56])))
    later = threshold.evaluate(step(NOW, aggregates=windows([55], first=4)))

    assert said(signals) == [True, True]
    assert said(later) == [False]
    assert later[0].sentence == "PM2.5 15min mean 55 µg/m³ is no longer above 75 µg/m³"


def test_below_works_the_other_way_round() -> None:
    """Slow traffic clears at the upper limit."""
    threshold = rule({"quantity": "speed", "window": "15min", "below": 20, "clear_above": 30})

    signals = threshold.evaluate(step(NOW, aggregates=windows([25, 19, 25, 30], series=1)))

    assert said(signals) == [True, True, False]
    assert signals[0].sentence == "Speed 15min mean 19 km/h is below 20 km/h"


def test_other_windows_statistics_and_thin_coverage_are_left_alone() -> None:
    """Only what the rule names is judged."""
    threshold = rule({**HIGH, "statistic": "max"})
    batch = windows([10.0, 10.0])

    assert threshold.evaluate(step(NOW, aggregates=windows([500.0], HOUR_NS))) == []
    assert threshold.evaluate(step(NOW, aggregates=windows([500.0], coverage=0.7))) == []
    assert threshold.evaluate(step(NOW, aggregates=windows([NAN]))) == []
    high = replace(batch, max=np.array([500.0, 500.0]))
    assert said(threshold.evaluate(step(NOW, aggregates=high))) == [True, True]


def test_a_correction_counts_only_for_the_newest_window() -> None:
    """What was an hour ago does not alert now, what is newest does."""
    threshold = rule(HIGH)
    threshold.evaluate(step(NOW, aggregates=windows([10, 10])))

    assert threshold.evaluate(step(NOW, aggregates=windows([500]))) == []
    assert said(threshold.evaluate(step(NOW, aggregates=windows([500], first=1)))) == [True]


def test_old_windows_do_not_alert_and_old_evidence_ends() -> None:
    """A filled-in week is no emergency, and a device that stopped says nothing any more."""
    threshold = rule({**HIGH, "stale_s": 3600})
    assert threshold.evaluate(step(NOW + 3 * HOUR_NS, aggregates=windows([500]))) == []
    assert said(threshold.evaluate(step(NOW, aggregates=windows([500])))) == [True]

    (signal,) = threshold.evaluate(step(NOW + 3 * HOUR_NS, ticked=True))

    assert not signal.active
    assert "no longer judged" in signal.sentence


def test_an_index_can_be_judged() -> None:
    """Every pollutant of the index is a subject."""
    threshold = rule({"index": "us_aqi", "above": 150, "clear_below": 100})
    column = np.zeros(2, np.uint8)
    values = IndexBatch(
        series=np.zeros(2, np.int32),
        index=column + 1,
        end=NOW - np.array([HOUR_NS, 0]),
        revision=np.zeros(2, np.int32),
        concentration=np.array([NAN, 80.0]),
        value=np.array([NAN, 168.0]),
        category=column,
        coverage=np.ones(2),
        beyond=column,
    )

    (signal,) = threshold.evaluate(step(NOW, indices=values))

    assert signal.sentence == "PM2.5 index (us_aqi) 168 is above 150"
    assert threshold.evaluate(step(NOW, indices=replace(values, index=column + 7))) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantity": "pm2_5", "window": "1h"}, "either above or below"),
        ({"quantity": "pm2_5", "above": 1}, "either window or index"),
        ({"window": "1h", "above": 1}, "needs a quantity"),
        ({"quantity": "pm2_5", "window": "1 hour", "above": 1}, "needs a quantity and a length"),
        ({**HIGH, "clear_below": 80}, "must not lie above"),
        ({**HIGH, "clear_above": 80}, "goes with"),
        ({**HIGH, "quantity": "pm25"}, "did you mean"),
        ({"index": "moon", "above": 1}, "no index called 'moon'"),
        ({**HIGH, "above": NAN}, "above: .*finite"),
        ({**HIGH, "clear_below": -math.inf}, "clear_below: .*finite"),
    ],
)
def test_contradictions_stop_at_start(settings: dict[str, Any], message: str) -> None:
    """A rule that cannot mean anything is a configuration error."""
    with pytest.raises(ConfigError, match=message):
        rule(settings)


def test_evidence_is_timed_by_the_end_of_the_window() -> None:
    """Not by when it was published."""
    (signal,) = rule(HIGH).evaluate(step(NOW, aggregates=windows([100.0])))

    assert signal.at == START_NS + 15 * MINUTE_NS


def test_a_limit_of_a_law_is_compared_at_the_conditions_it_is_written_for() -> None:
    """200 at 20 °C is 196.6 at 25 °C; a limit without conditions is taken as values are kept."""
    settings = {"quantity": "no2", "window": "1h", "above": 200}
    said = []
    for given in ({"gas_conditions": "eu_20c"}, {}):
        made = build("alert", "threshold", {**settings, **given}, table("no2"), {})
        assert isinstance(made, Weighs)
        made.weigh_at("us_25c")
        said.append([one.sentence for one in made.evaluate(step(NOW, aggregates=hours([197.5])))])

    assert said == [
        [
            (
                "NO₂ 1h mean 200.9 µg/m³ is above 200 µg/m³ (both at 20 °C and 101.325 kPa (EU);"
                " measured at 25 °C and 101.325 kPa (US))"
            )
        ],
        [],
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"index": "us_aqi", "above": 150, "gas_conditions": "eu_20c"},
        {"quantity": "no2", "window": "1h", "statistic": "count", "above": 9,
         "gas_conditions": "eu_20c"},
    ],
)  # fmt: skip
def test_conditions_of_what_is_no_concentration_are_refused(settings: dict[str, Any]) -> None:
    """An index and a count have no temperature."""
    with pytest.raises(ConfigError, match="gas_conditions goes with"):
        rule(settings)
