# SPDX-License-Identifier: EUPL-1.2
"""Corrections of any hour of the last month change exactly the values they change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.batch import AggregateBatch, IndexBatch
from lamppost.times import HOUR_NS, MINUTE_NS
from lamppost.units import to_eu_conditions
from tests.processor_cases import START_NS, build, hours, table, windows

DAYS = 34
POLLUTANTS = ("pm2_5", "so2", "o3", "co")
CASES = [
    ("us_aqi", {}),
    ("eaqi", {}),
    ("daqi", {}),
    ("who", {}),
    ("nowcast", {"ozone": "surrogate"}),
]


class City:
    """Hours of some pollutants as windows hold them, with what a step has just replaced."""

    def __init__(self, seed: int) -> None:
        """Draw a month of hours; some are missing, and of some nothing was heard."""
        random = np.random.default_rng(seed)
        size = (len(POLLUTANTS), 24 * DAYS)
        self.mean = np.round(random.gamma(2, 20, size), 1)
        self.mean[random.random(size) < 0.1] = np.nan
        # Hours of which there is no window at all, some in a row; the last one of each is there.
        self.there = random.random(size) > 0.05
        for start in random.integers(0, size[1] - 40, 8):
            self.there[:, start : start + int(random.integers(1, 30))] = False
        self.there[:, -1] = True
        self.revision = np.zeros(size, np.int32)
        self._former: dict[tuple[int, int], float] = {}

    def at(self, code: int, hour: int, mean: float | None = None) -> AggregateBatch:
        """Return an hour, as it is or as it was."""
        value = float(self.mean[code, hour]) if mean is None else mean
        found = hours([value], first=hour, series=code)
        return replace(found, revision=self.revision[code, hour : hour + 1])

    def everything(self) -> AggregateBatch:
        """Return all hours with their quarters, in order of time."""
        parts = [hours(row.tolist(), series=code) for code, row in enumerate(self.mean)]
        parts += [quarters(row, code) for code, row in enumerate(self.mean)]
        whole = AggregateBatch.concat(parts)
        whole = whole.take(self.there[whole.series, (whole.start - START_NS) // HOUR_NS])
        return whole.take(np.lexsort((-whole.length, whole.start)))

    def correct(self, changes: list[tuple[int, int, float]]) -> AggregateBatch:
        """Replace means, and return what goes out: the hours and their quarters."""
        keys = [(code, hour) for code, hour, _ in changes]
        self._former = {key: self.mean[key] for key in keys if self.there[key]}
        for code, hour, mean in changes:
            self.mean[code, hour] = mean
            self.there[code, hour] = True
        for key in self._former:
            self.revision[key] += 1
        out = [self.at(*key) for key in keys]
        out += [
            replace(found, revision=np.full(4, self.revision[code, hour]))
            for code, hour in keys
            for found in [quarters(self.mean[code, hour : hour + 1], code, hour)]
        ]
        return AggregateBatch.concat(out)

    def hours(self, series: Any, start: Any, end: Any) -> AggregateBatch:  # noqa: ANN401 - arrays
        """Return hours as they are; those of which nothing was heard are not held."""
        return self._spans(series, start, end, np.where(self.there, self.mean, np.inf))

    def former_hours(self, series: Any, start: Any, end: Any) -> AggregateBatch:  # noqa: ANN401
        """Return the corrected hours as they were."""
        former = np.full(self.mean.shape, np.inf)
        for key, mean in self._former.items():
            former[key] = mean
        return self._spans(series, start, end, former)

    def _spans(self, series: Any, start: Any, end: Any, means: np.ndarray) -> AggregateBatch:  # noqa: ANN401
        parts = []
        for code, first, last in zip(series, start, end, strict=True):
            low = max((int(first) - START_NS) // HOUR_NS, 0)
            high = (int(last) - START_NS) // HOUR_NS
            found = hours(means[code, low:high].tolist(), first=low, series=int(code))
            parts.append(replace(found, revision=self.revision[code, low:high][: len(found)]))
        whole = AggregateBatch.concat(parts)
        return whole.take(~np.isinf(whole.mean))


def quarters(means: np.ndarray, code: int, first: int = 0) -> AggregateBatch:
    """Return quarters around hourly means."""
    values = (means[:, None] * [0.5, 1.5, 1.0, 1.0]).ravel().tolist()
    return windows(values, 15 * MINUTE_NS, first=4 * first, series=code)


def newest(values: dict[Any, tuple[Any, ...]], batch: IndexBatch) -> dict[Any, tuple[Any, ...]]:
    """Take published values in, and return what each replaced."""
    replaced = {}
    for row in range(len(batch)):
        key = int(batch.series[row]), int(batch.end[row])
        fields = ("concentration", "value", "category", "coverage", "beyond", "revision")
        told = tuple(float(getattr(batch, name)[row]) for name in fields)
        replaced[key] = values.get(key, ()), told
        values[key] = told
    return replaced


CHANGES = st.lists(
    st.tuples(
        st.integers(0, len(POLLUTANTS) - 1),
        st.integers(24 * 6, 24 * DAYS - 1),
        st.sampled_from([0.0, 12.0, 12.1, 300.0, 900.0, float("nan")]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda change: change[:2],
)


@pytest.mark.parametrize(
    ("name", "raw"), CASES, ids=lambda case: case if isinstance(case, str) else ""
)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), steps=st.lists(CHANGES, min_size=1, max_size=3))
def test_corrections_end_in_what_right_hours_would_have_said(
    name: str, raw: dict[str, Any], seed: int, steps: list[list[tuple[int, int, float]]]
) -> None:
    """Every value that differs goes out again, with a higher revision; no other does."""
    city = City(seed)
    index = build("index", name, raw, table(*POLLUTANTS))
    index.look_back(city)
    values: dict[Any, tuple[Any, ...]] = {}
    newest(values, index.update(city.everything()))

    for changes in steps:
        for before, after in newest(values, index.update(city.correct(changes))).values():
            # Of an hour nobody had heard of until now, nothing may have been said.
            assert not before or after[-1] > before[-1]
            assert not np.array_equal(before[:-1], after[:-1], equal_nan=True)

    right: dict[Any, tuple[Any, ...]] = {}
    newest(right, build("index", name, raw, table(*POLLUTANTS)).update(city.everything()))
    assert values.keys() == right.keys()
    for key, told in values.items():
        np.testing.assert_array_equal(told[:-1], right[key][:-1], err_msg=str(key))


@pytest.mark.parametrize(
    ("name", "raw"), CASES, ids=lambda case: case if isinstance(case, str) else ""
)
def test_the_same_parts_of_a_volume_give_the_same_index(name: str, raw: dict[str, Any]) -> None:
    """Whether ppb became a mass at 20 or at 25 degrees: only the concentration told differs."""
    city = City(1)
    hours = city.everything()
    factor = np.array([to_eu_conditions(name, "us_25c") for name in POLLUTANTS])[hours.series]
    at_25 = replace(hours, mean=hours.mean / factor, max=hours.max / factor)
    index = build("index", name, raw, table(*POLLUTANTS))
    index.weigh_at("us_25c")

    expected = build("index", name, raw, table(*POLLUTANTS)).update(hours)
    found = index.update(at_25)

    assert len(found) == len(expected) > 0
    np.testing.assert_array_equal(found.value, expected.value)
    np.testing.assert_array_equal(found.category, expected.category)
    given = expected.concentration / np.array(
        [to_eu_conditions(name, "us_25c") for name in POLLUTANTS]
    ).take(found.series)
    np.testing.assert_allclose(found.concentration, given, rtol=1e-9)
