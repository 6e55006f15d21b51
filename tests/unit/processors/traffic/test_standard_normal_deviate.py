# SPDX-License-Identifier: EUPL-1.2
"""The standard normal deviate equals what its formula gives, and learns only from what is usual."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.traffic._pair_rule import Frame
from tests.processor_cases import START_NS, build
from tests.traffic_cases import PAIR, end_of, traffic_table


def rule(**given_settings: Any) -> Any:  # noqa: ANN401 - a rule with any settings
    """Return the rule with one pair."""
    made = build("alert", "standard_normal_deviate", given_settings, traffic_table(PAIR), PAIR)
    made.state.grow(1)
    return made


def frame(number: int, difference: float) -> Frame:
    """Return an interval in which the occupancies differ by so much."""
    one = np.ones(1)
    return Frame(end_of(number), one * (30 + difference), one * 30, one * 30, one, one, one)


def holds(made: Any, differences: list[float]) -> list[bool]:  # noqa: ANN401
    """Return for each interval whether the rule holds."""
    return [bool(made.step(frame(i, x))[0]) for i, x in enumerate(differences)]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    smoothing=st.sampled_from([0.2, 0.5, 1.0]),
    window=st.integers(2, 40),
)
def test_it_is_what_the_formula_says(seed: int, smoothing: float, window: int) -> None:
    """Mean, variance and smoothed deviate written out plainly, one interval after the other."""
    random = np.random.default_rng(seed)
    differences = random.normal(2, 3, 80)
    differences[40:60] += random.choice([0, 10, 40])
    made = rule(smoothing=smoothing, window=window, warm_up=10, limit=4)

    found = holds(made, differences.tolist())

    assert found == _plainly(differences, smoothing, window)


def _plainly(differences: np.ndarray, smoothing: float, window: int) -> list[bool]:
    scale = math.sqrt(smoothing / (2 - smoothing))
    mean = variance = smoothed = 0.0
    learnt, held, found = 0, False, []
    for x in differences.tolist():
        deviate = (x - mean) / max(math.sqrt(variance), 2.0)
        smoothed = smoothed + smoothing * (deviate - smoothed) if learnt >= 10 else 0.0
        begins = smoothed > 4 * scale and x - mean >= 8
        held = learnt >= 10 and (begins or (held and smoothed >= 1.5 * scale))
        found.append(held)
        if not held:
            weight = max(1 / (learnt + 1), 1 / window)
            away, learnt = x - mean, learnt + 1
            mean += weight * away
            variance = (1 - weight) * (variance + weight * away * away)
    return found


def test_the_mean_of_the_first_intervals_is_their_plain_mean() -> None:
    """Until the window is full each counts the same."""
    made = rule(window=30)
    holds(made, [1.0, 2.0, 6.0])

    assert made.state["mean"][0] == pytest.approx(3.0)
    assert made.state["variance"][0] == pytest.approx(np.var([1, 2, 6]))


def test_the_baseline_stands_still_while_it_holds() -> None:
    """An incident does not become the usual while it lasts."""
    made = rule(warm_up=20)
    holds(made, [2.0] * 30)
    before = float(made.state["mean"][0])

    found = [bool(made.step(frame(30 + i, 40.0))[0]) for i in range(60)]

    assert all(found[1:])
    assert made.state["mean"][0] == pytest.approx(before, abs=2)


def test_what_lasts_for_hours_becomes_the_usual() -> None:
    """After relearn_s everything is learnt anew."""
    made = rule(warm_up=20, relearn_s=600)

    found = holds(made, [2.0] * 30 + [40.0] * 60)

    assert found[32]
    assert not any(found[45:])
    assert START_NS


def test_small_differences_are_no_incident_however_unusual() -> None:
    """A night on which the difference was 0 all the time makes 5 points very unusual."""
    assert not any(holds(rule(least_sd=0.1), [0.0] * 40 + [5.0] * 20))
