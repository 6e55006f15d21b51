# SPDX-License-Identifier: EUPL-1.2
"""Information and alert thresholds: hours in a row, rounding, gaps, corrections, dates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.alerts import Signal
from lamppost.batch import DAY, AggregateBatch
from lamppost.component import Alert
from lamppost.errors import ConfigError
from lamppost.index_needs import Weighs
from lamppost.times import DAY_NS, HOUR_NS
from tests.processor_cases import NAN, START_NS, build, hours, step, table
from tests.processor_conformance import POLICY

ALERTS = pytest.mark.vector(
    "EU limit values",
    "2008/50/EC, Annex XII; Directive (EU) 2024/2881 (jobonaf/aq-framework-snpa, one source)",
)

NO2 = {"quantity": "no2", "above": 400, "consecutive": 3}
OZONE = {"quantity": "o3", "above": 180}


def rule(settings: dict[str, Any], *quantities: str) -> Alert:
    """Build a rule over one series of each quantity."""
    made: Alert = build(
        "alert", "public_threshold", settings, table(*(quantities or (settings["quantity"],))), {}
    )
    return made


def after(made: Alert, means: list[float], first: int = 0, **columns: float) -> list[Signal]:
    """Return what a rule says of some hours, a moment after the last of them."""
    now = START_NS + (first + len(means)) * HOUR_NS
    return made.evaluate(step(now, aggregates=hours(means, first=first, **columns)))


def holding(made: Alert, means: list[float]) -> list[bool]:
    """Return whether it holds after each hour, told one by one."""
    state, found = False, []
    for number, mean in enumerate(means):
        for signal in after(made, [mean], number):
            state = signal.active
        found.append(state)
    return found


@ALERTS
@pytest.mark.parametrize(
    ("settings", "means", "expected"),
    [
        # 2008/50/EC, Annex XII: O3 180 and 240, one hour.
        (OZONE, [180, 180.4, 181, 170], [False, False, True, False]),
        ({"quantity": "o3", "above": 240}, [240, 241], [False, True]),
        # NO2 400 and SO2 500, three consecutive hours.
        (NO2, [401, 401, 399, 401, 401, 401, 400], [False] * 5 + [True, False]),
        (
            {"quantity": "so2", "above": 500, "consecutive": 3},
            [501, 501, 501, 501, 499],
            [False, False, True, True, False],
        ),
        # 2024/2881 by one source: NO2 200 and SO2 350, three consecutive hours.
        ({"quantity": "no2", "above": 200, "consecutive": 3}, [201] * 3, [False, False, True]),
        ({"quantity": "so2", "above": 350, "consecutive": 3}, [351] * 3, [False, False, True]),
        # Rounding half up before comparing.
        (OZONE, [180.49, 180.5], [False, True]),
    ],
)
def test_levels_and_hours_in_a_row(
    settings: dict[str, Any], means: list[float], expected: list[bool]
) -> None:
    """It holds from the last of the hours in a row to the first hour that is not above."""
    assert holding(rule(settings), means) == expected


def test_the_sentence_tells_level_row_and_advice() -> None:
    """What the public reads."""
    made = rule({**NO2, "advice": "Keep away from busy roads."})

    signals = after(made, [410, 420, 433.3])

    assert signals[-1].sentence == (
        "NO₂ 433.3 µg/m³ in the last hour is above 400 µg/m³ for 3 hours in a row."
        " Keep away from busy roads."
    )
    assert signals[-1].clears_when == "NO₂ in one hour is not above 400 µg/m³"
    assert (signals[-1].observed, signals[-1].expected) == (433.3, 400)
    assert signals[-1].at == START_NS + 3 * HOUR_NS


def test_a_missing_hour_interrupts_a_row_that_does_not_hold_yet() -> None:
    """Three hours in a row, not three of four."""
    made = rule(NO2)

    assert after(made, [410, 410, NAN, 410]) == []
    assert not any(signal.active for signal in after(made, [410], 4))
    assert [signal.active for signal in after(made, [410], 5)] == [True]


def test_a_missing_hour_does_not_end_what_holds() -> None:
    """An instrument that fails in the smoke is no all-clear."""
    made = rule(NO2)

    after(made, [410, 410, 410])
    later = after(made, [410], 4)

    assert [signal.active for signal in later] == [True]


def test_thinly_covered_hours_are_not_judged() -> None:
    """45 minutes of an hour (2008/50/EC, Annexes VII and XI)."""
    assert after(rule(OZONE), [300], coverage=0.74) == []
    assert len(after(rule(OZONE), [300], coverage=0.75)) == 1


def test_a_correction_can_complete_a_row_and_take_one_back() -> None:
    """Late data count as far as the row is still of interest."""
    made = rule(NO2)

    after(made, [410, 390, 410])
    corrected = replace(hours([410], first=1), revision=np.array([1]))
    completed = made.evaluate(step(START_NS + 3 * HOUR_NS, aggregates=corrected))
    taken_back = replace(hours([390], first=1), revision=np.array([2]))
    ended = made.evaluate(step(START_NS + 3 * HOUR_NS, aggregates=taken_back))

    assert [signal.active for signal in completed] == [True]
    assert [signal.active for signal in ended] == [False]


def test_silence_ends_it() -> None:
    """What is not known any more is not alerted of for ever."""
    made = rule(OZONE)
    after(made, [200])

    early = made.evaluate(step(START_NS + 3 * HOUR_NS, ticked=True))
    late = made.evaluate(step(START_NS + 5 * HOUR_NS, ticked=True))

    assert early == []
    assert [signal.active for signal in late] == [False]
    assert "no longer judged" in late[0].sentence


def test_rules_apply_between_their_dates() -> None:
    """START_NS lies in September 2026."""
    day = "2026-09-21"

    assert after(rule({**OZONE, "in_force_from": "2026-09-22"}), [200]) == []
    assert after(rule({**OZONE, "in_force_until": "2026-09-20"}), [200]) == []
    assert len(after(rule({**OZONE, "in_force_from": day, "in_force_until": day}), [200])) == 1
    with pytest.raises(ConfigError, match="in_force_until"):
        rule({**OZONE, "in_force_from": "2030-01-01", "in_force_until": "2029-01-01"})


def days(means: list[float], lengths_h: list[int]) -> AggregateBatch:
    """Return days of the calendar, one after the other."""
    batch = hours(means)
    length = np.array(lengths_h) * HOUR_NS
    midnight = START_NS // DAY_NS * DAY_NS - 2 * HOUR_NS
    start = midnight + np.concatenate([[0], np.cumsum(length)[:-1]])
    return replace(batch, start=start, length=length, calendar=np.full(len(means), DAY))


@ALERTS
def test_days_of_23_and_25_hours_are_days_in_a_row() -> None:
    """PM2.5 50, daily, here over three days."""
    made = rule({"quantity": "pm2_5", "above": 50, "window": "day", "consecutive": 3})
    batch = days([51, 60, 55, 49], [24, 25, 23, 24])

    signals = made.evaluate(step(int(batch.start[-1]), aggregates=batch.take(slice(0, 3))))
    ended = made.evaluate(step(int(batch.start[-1] + DAY_NS), aggregates=batch.take(slice(3, 4))))

    assert [signal.active for signal in signals] == [True]
    assert [signal.active for signal in ended] == [False]


def test_other_windows_and_quantities_are_left_alone() -> None:
    """Only what the rule names is judged."""
    made = rule(OZONE, "o3", "no2")

    assert made.evaluate(step(START_NS + HOUR_NS, aggregates=hours([900], series=1))) == []
    quarter = replace(hours([900]), length=np.array([HOUR_NS // 4]))
    assert made.evaluate(step(START_NS + HOUR_NS, aggregates=quarter)) == []


@given(
    st.lists(st.sampled_from([100.0, 400.0, 400.6, 500.0, NAN]), min_size=1, max_size=30),
    st.integers(1, 5),
)
def test_it_begins_when_a_plain_count_says_so(means: list[float], consecutive: int) -> None:
    """Law: with the n-th hour above in a row, and it ends with the first hour that is not."""
    made = rule({**NO2, "consecutive": consecutive})
    run, holds, expected = 0, False, []
    for mean in means:
        above = mean > 400.5
        run = run + 1 if above else 0
        holds = run >= consecutive or (holds and (above or np.isnan(mean)))
        expected.append(holds)

    assert holding(made, means) == expected


@ALERTS
def test_the_default_policy_switches_every_threshold_on() -> None:
    """Information and alert, of both directives."""
    found = {
        (r.settings["quantity"], r.settings["above"], r.settings.get("consecutive", 1))
        for r in POLICY.alerts.values()
        if r.use == "public_threshold"
    }

    assert found == {
        ("o3", 180, 1), ("o3", 240, 1), ("no2", 400, 3), ("so2", 500, 3), ("no2", 150, 1),
        ("no2", 200, 3), ("so2", 275, 1), ("so2", 350, 3), ("pm2_5", 50, 1), ("pm2_5", 50, 3),
        ("pm10", 90, 1), ("pm10", 90, 3),
    }  # fmt: skip
    assert all(r.settings["advice"] for r in POLICY.alerts.values() if r.use == "public_threshold")


def test_a_gas_kept_at_25_degrees_is_brought_to_the_conditions_of_the_law() -> None:
    """180 at 20 °C is 176.98 at 25 °C; the sentence says both."""
    made = rule(OZONE)
    assert isinstance(made, Weighs)
    made.weigh_at("us_25c")

    below, above = after(made, [177.0], 0), after(made, [177.6], 1)

    assert below == []
    assert above[0].active
    assert above[0].observed == pytest.approx(177.6 * 24.4654 / 24.0551)
    assert above[0].sentence == (
        "O₃ 180.6 µg/m³ in the last hour is above 180 µg/m³ (both at 20 °C and 101.325 kPa (EU);"
        " measured at 25 °C and 101.325 kPa (US))"
    )


def test_particles_are_compared_as_they_are() -> None:
    """PM is at ambient conditions."""
    made = rule({"quantity": "pm2_5", "above": 50})
    assert isinstance(made, Weighs)
    made.weigh_at("us_25c")

    found = after(made, [50.4, 50.6])

    assert [signal.observed for signal in found] == [50.6]
    assert "°C" not in found[0].sentence


def test_a_level_between_two_steps_of_rounding_is_refused() -> None:
    """Rounded to whole numbers, 12.5 would be held against 12, and 13 said to be above it."""
    with pytest.raises(ConfigError, match=r"12\.5 is no multiple of 1, .* held against 12"):
        rule({"quantity": "pm2_5", "above": 12.5})

    assert after(rule({"quantity": "pm2_5", "above": 12.5, "precision": 0.5}), [12.6]) == []
