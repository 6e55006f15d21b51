# SPDX-License-Identifier: EUPL-1.2
"""Quick questions: the answer is what the engine says of the same hours, under any policy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.component import find
from lamppost.times import HOUR_NS
from lamppost.units import Conditions
from processors.indices.working import Given, NoTableError, Worked, together, work
from tests.processor_cases import NAN, START_NS, build, hours, table
from tests.processor_conformance import components

_LISTS = ("15min", "10min", "year", "peak_season")
_RAW: dict[str, list[dict[str, Any]]] = {
    "us_aqi": [
        {},
        {"negative": "none", "valid_hours": 3, "valid_hours_of_8": 2},
        {"pm10_hazardous": "two_bands", "above_500": "capped"},
    ],
    "nowcast": [
        {},
        {"ozone": "none", "negative": "none"},
        {"ozone": "surrogate", "hours": 3, "least_weight": 0.1},
        {"pls_series": 0, "above_500": "capped"},
    ],
    "eaqi": [{}, {"value": "points", "negative": "none"}],
    "eaqi_2017": [{}, {"valid_hours": 1}],
    "daqi": [{}, {"valid_hours_of_8": 8}],
    "who": [{}, {"negative": "none"}],
}
CASES = [(name, raw) for name, given in _RAW.items() for raw in given]
LEVEL = st.sampled_from([0.0, 12.1, 66.5, 305.0, 504.0, 900.0, 9e4])
HOURS = st.one_of(
    st.lists(st.one_of(LEVEL, st.floats(-50, 700), st.just(NAN)), min_size=2, max_size=30),
    st.builds(
        lambda level, count, gaps: [NAN if n in gaps else level + n % 7 for n in range(count)],
        LEVEL,
        st.integers(2, 26),
        st.sets(st.integers(0, 25), max_size=8),
    ),
)


def asked(
    name: str, raw: dict[str, Any], question: Given, conditions: Conditions = "eu_20c"
) -> list[Worked]:
    """Return what an index answers."""
    components("index")
    component = find("index", name, "test")
    return work(component, component.parse(raw, "test"), question, conditions)


def of_engine(
    name: str, raw: dict[str, Any], quantity: str, newest_first: list[float], conditions: Conditions
) -> list[float]:
    """Return what the engine says of the newest hour; an hour that is NaN has no window."""
    index = build("index", name, raw, table(quantity))
    index.weigh_at(conditions)
    oldest_first = newest_first[::-1]
    batch = hours(oldest_first)
    count = len(oldest_first)
    parts = [
        index.update(batch.take(np.flatnonzero(~np.isnan(oldest_first)))),
        index.run_on(np.array([START_NS + count * HOUR_NS])),
    ]
    for found in parts:
        rows = np.flatnonzero(found.end == START_NS + count * HOUR_NS)
        if len(rows):
            (row,) = rows
            version = index.named_tables[int(found.table[row]) - 1]
            numbers = (found.concentration, found.value, found.category, found.beyond)
            return [*(float(column[row]) for column in numbers), *version]
    return [NAN, NAN, 0.0, 0.0]


@pytest.mark.parametrize(("name", "raw"), CASES, ids=str)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), numbers=HOURS, conditions=st.sampled_from(["eu_20c", "us_25c"]))
def test_a_question_is_answered_as_the_engine_answers(
    name: str,
    raw: dict[str, Any],
    data: st.DataObject,
    numbers: list[float],
    conditions: Conditions,
) -> None:
    """Whatever the hours, the settings and the conditions: to the digit, with the same table."""
    components("index")
    component = find("index", name, "test")
    pollutants = component.cls.tables(component.parse(raw, "test"))
    quantity = data.draw(
        st.sampled_from([name for name, subs in pollutants.items() if subs[0].period not in _LISTS])
    )

    found = asked(name, raw, Given(quantity, "", tuple(numbers)), conditions)

    worst = together(found).worst
    expected = of_engine(name, raw, quantity, numbers, conditions)
    if worst is None:
        assert math.isnan(float(expected[1]))
        return
    told = [worst.concentration, worst.value, float(worst.category), float(worst.beyond)]
    np.testing.assert_allclose(told, np.array(expected[:4], float), rtol=1e-12)
    assert [*worst.table] == expected[4:]


def test_what_is_below_zero_is_what_the_policy_takes_it_for() -> None:
    """NowCast of hours below 0 is 0, or none, as the engine says it."""
    question = Given("pm2_5", "", (-3.0, -2.0, -1.0))

    (zero,) = asked("nowcast", {}, question)
    (none,) = asked("nowcast", {"negative": "none"}, question)

    assert zero.value == 0
    assert math.isnan(none.value)
    assert "what is below 0 is taken for 0 (negative: zero)" in zero.sentences
    assert "what is below 0 is no measurement (negative: none)" in none.sentences


def test_an_index_that_leaves_a_pollutant_out_has_no_answer_for_it() -> None:
    """With ozone: none there is no NowCast of ozone, not of an hour either."""
    for period in ("", "1h", "nowcast"):
        with pytest.raises(NoTableError, match="nowcast says nothing about o3 under this policy"):
            asked("nowcast", {"ozone": "none"}, Given("o3", period, (100.0, 100.0)))


def test_masses_of_gases_are_read_at_the_conditions_of_the_policy() -> None:
    """100 ppb of NO2 are an index of 100 at 20 and at 25 degrees."""
    at_20 = asked("us_aqi", {}, Given("no2", "", (191.2509,)))
    at_25 = asked("us_aqi", {}, Given("no2", "", (188.0434,)), "us_25c")

    assert [at_20[0].value, at_25[0].value] == [100, 100]
    assert any(
        "at 25 °C and 101.325 kPa (US), 191.251 at 20 °C" in one for one in at_25[0].sentences
    )


@pytest.mark.parametrize(
    ("index", "question", "value", "said"),
    [
        ("daqi", Given("so2", "15min", (88, 89, 20)), 2, "the highest is 89"),
        ("daqi", Given("so2", "", (88, 20)), 1, "the highest is 88"),
        ("who", Given("so2", "10min", (400, NAN, 501)), 6, "the highest is 501"),
        ("who", Given("co", "15min", (1e5, 2e4)), 1, "the highest is 100000"),
        (
            "who",
            Given("o3", "peak_season", (40, 50, 60, 70, 80, 80, 50, 30)),
            4,
            "the highest mean of six in a row is 65",
        ),
        ("who", Given("o3", "peak_season", (40, NAN, 60, 70, 80, 80)), NAN, "none of them counts"),
        ("who", Given("pm2_5", "year", (12,)), 3, "taken for the mean of year"),
    ],
)
def test_a_list_is_what_its_averaging_is_made_of(
    index: str, question: Given, value: float, said: str
) -> None:
    """Quarters, tens of minutes, months: the highest counts, as the index defines it."""
    (found,) = asked(index, {}, question)

    np.testing.assert_equal(found.value, value)
    assert any(said in sentence for sentence in found.sentences), found.sentences


@pytest.mark.parametrize(
    ("index", "question", "problem"),
    [
        ("who", Given("pm2_5", "year", (12, 13)), "the year is the mean of all its hours: give"),
        ("daqi", Given("so2", "15min", (1,) * 5), "the quarters of one hour, four at most, not 5"),
        (
            "who",
            Given("so2", "10min", (1,) * 7),
            "of ten minutes of one hour, six at most, not 7",
        ),
        ("who", Given("o3", "peak_season", (60,) * 5), "six to twelve monthly means"),
    ],
)
def test_a_list_that_says_nothing_is_refused(index: str, question: Given, problem: str) -> None:
    """With what is expected in its place, never the newest number alone."""
    with pytest.raises(NoTableError, match=problem):
        asked(index, {}, question)
