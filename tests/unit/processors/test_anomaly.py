# SPDX-License-Identifier: EUPL-1.2
"""Anomaly rules: how many of the last readings, how far, in which direction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lamppost.batch import DERIVED, REDERIVED
from lamppost.errors import ConfigError
from lamppost.flags import OUT_OF_ORDER
from lamppost.times import HOUR_NS, MINUTE_NS
from tests.processor_cases import NAN, START_NS, build, scored, step, table

NOW = START_NS + HOUR_NS


def rule(**settings: Any) -> Any:  # noqa: ANN401 - settings of any type
    """Build a rule over one PM2.5 series."""
    return build("alert", "anomaly", {"at_least": 3, "of_last": 5, **settings}, table("pm2_5"), {})


def states(anomaly: Any, scores: list[float], start: int = 0) -> list[bool]:  # noqa: ANN401
    """Return the signals readings with some scores lead to."""
    signals = anomaly.evaluate(step(NOW, judged=scored(scores, start=start)))
    return [signal.active for signal in signals]


def test_three_of_five_unusual_readings_begin_it() -> None:
    """Two do not."""
    assert states(rule(), [8, 0, 8, 0, 0, 0]) == []
    assert states(rule(), [8, 0, 8, 0, 8]) == [True]


def test_it_ends_when_none_of_the_last_is_unusual() -> None:
    """One unusual reading among the last five keeps it."""
    anomaly = rule()
    assert states(anomaly, [8, 8, 8]) == [True]

    assert states(anomaly, [0, 0, 0, 0], start=3) == [True]
    assert states(anomaly, [0], start=7) == [False]


def test_the_sentence_says_what_was_expected() -> None:
    """Value, expectation, band and score, with units."""
    (signal,) = rule().evaluate(step(NOW, judged=scored([8, 8, 8])))

    assert signal.sentence == (
        "PM2.5 130 µg/m³ is far above the expected 50 µg/m³ (usual 10 to 90, score 8)"
    )
    assert signal.clears_when == "none of the last 5 readings is unusual"
    assert (signal.observed, signal.expected) == (130, 50)
    assert signal.at == START_NS + 2 * MINUTE_NS


def test_while_nothing_is_measured_the_last_reading_tells() -> None:
    """What holds goes on with the evidence there was, within a batch and across batches."""
    anomaly = rule()
    *_, together = rule().evaluate(step(NOW, judged=scored([8, 8, 8, NAN])))

    assert states(anomaly, [8, 8, 8]) == [True]
    (apart,) = anomaly.evaluate(step(NOW, judged=scored([NAN], start=3)))

    assert apart == together
    assert (apart.observed, apart.active) == (130, True)
    assert apart.at == START_NS + 3 * MINUTE_NS


@pytest.mark.parametrize(
    ("direction", "score", "expected"),
    [("both", -8, [True]), ("above", -8, []), ("below", -8, [True]), ("below", 8, [])],
)
def test_the_direction_can_be_chosen(direction: str, score: float, expected: list[bool]) -> None:
    """Slow traffic is of interest, fast traffic is not."""
    assert states(rule(direction=direction), [score] * 3) == expected


def test_small_deviations_do_not_count() -> None:
    """Statistics alone alert nobody."""
    assert states(rule(minimum_deviation={"pm2_5": 81}), [8, 8, 8]) == []
    assert states(rule(minimum_deviation={"pm2_5": 80}), [8, 8, 8]) == [True]


def test_late_amended_and_unscored_readings_do_not_count() -> None:
    """Only first verdicts in order of arrival."""
    judged = scored([8, 8, 8])
    late = replace(judged, reasons=np.full(3, OUT_OF_ORDER.mask))

    assert rule().evaluate(step(NOW, judged=late)) == []
    assert rule().evaluate(step(NOW, judged=replace(judged, revision=np.ones(3, np.int32)))) == []
    assert states(rule(), [8, NAN, 8, NAN, NAN, 8]) == []


def test_corrected_readings_count_when_they_are_first_told() -> None:
    """With a score, and not again when something about them changes."""
    judged = scored([8, 8, 8])
    first, again = (replace(judged, revision=np.full(3, kind)) for kind in (DERIVED, REDERIVED))

    assert [one.active for one in rule().evaluate(step(NOW, judged=first))] == [True]
    assert rule().evaluate(step(NOW, judged=again)) == []


def test_other_quantities_are_left_alone() -> None:
    """A rule names what it watches."""
    assert states(rule(quantities=["no2"]), [8, 8, 8]) == []


def test_it_ends_when_readings_stop() -> None:
    """A device that is gone is no anomaly any more."""
    anomaly = rule(stale_s=600)
    signals = anomaly.evaluate(step(START_NS + 3 * MINUTE_NS, judged=scored([8, 8, 8])))
    assert len(signals) == 1

    (signal,) = anomaly.evaluate(step(NOW, ticked=True))

    assert not signal.active
    assert "no longer judged" in signal.sentence


def test_more_readings_than_are_looked_at_cannot_be_asked_for() -> None:
    """At least 6 of 5 never happens."""
    with pytest.raises(ConfigError, match="of_last"):
        rule(at_least=6)
