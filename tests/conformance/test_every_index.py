# SPDX-License-Identifier: EUPL-1.2
"""Laws every registered index obeys; a new one is picked up by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lamppost.batch import AggregateBatch
from lamppost.component import Component, Index
from lamppost.series import SeriesKey, SeriesTable
from tests.processor_conformance import assert_described, assert_same, components, law, make
from tests.strategies import aggregates

every_index = pytest.mark.parametrize(
    "component", components("index").values(), ids=lambda found: found.name
)
POLLUTANTS = ("pm2_5", "o3", "so2", "co", "no2", "pm10", "temperature")
KEYS = tuple(SeriesKey("aq-1", quantity) for quantity in POLLUTANTS)
FIELDS = ("concentration", "value", "category", "coverage", "beyond")


def singles(batch: AggregateBatch) -> list[AggregateBatch]:
    """Cut a batch into single rows."""
    return [batch.take(slice(i, i + 1)) for i in range(len(batch))]


def published(
    index: Index, batches: Sequence[AggregateBatch]
) -> dict[tuple[int, int], list[float]]:
    """Return the newest value of each series and end; revisions must rise."""
    values: dict[tuple[int, int], list[float]] = {}
    revisions: dict[tuple[int, int], int] = {}
    for batch in batches:
        found = index.update(batch)
        for row in range(len(found)):
            key = (int(found.series[row]), int(found.end[row]))
            assert int(found.index[row]) == index.number
            assert int(found.revision[row]) > revisions.get(key, -1)
            revisions[key] = int(found.revision[row])
            values[key] = [float(getattr(found, name)[row]) for name in FIELDS]
    return dict(sorted(values.items()))


def assert_equal(one: dict[Any, list[float]], other: dict[Any, list[float]]) -> None:
    """Check that two sets of published values are equal."""
    assert one.keys() == other.keys()
    np.testing.assert_array_equal([*one.values()], [*other.values()])


@every_index
def test_an_index_is_described(component: Component) -> None:
    """Name, summary and every setting say what they are for."""
    assert_described(component)


def test_numbers_of_indices_are_unique() -> None:
    """Published values name their index by number."""
    numbers = [component.cls.number for component in components("index").values()]

    assert len(set(numbers)) == len(numbers)


@every_index
def test_an_index_has_a_scale(component: Component) -> None:
    """Title, source and version of its table; its categories with names and colours."""
    scale = component.cls.scale

    assert scale.title
    assert scale.version
    assert scale.source
    assert all(category.name for category in scale.categories)
    assert all(re.fullmatch("#[0-9A-F]{6}", category.colour) for category in scale.categories)


@every_index
def test_no_aggregates_give_no_values(component: Component) -> None:
    """Nothing in, nothing out."""
    assert len(make(component, SeriesTable(KEYS)).update(AggregateBatch.empty())) == 0


@every_index
@law(batch=aggregates(most=len(POLLUTANTS)))
def test_values_do_not_depend_on_the_cut(component: Component, batch: AggregateBatch) -> None:
    """One batch and one hour at a time end in the same values."""
    batch = batch.take(np.argsort(batch.start, kind="stable"))

    whole = published(make(component, SeriesTable(KEYS)), [batch])

    assert_equal(published(make(component, SeriesTable(KEYS)), singles(batch)), whole)


@every_index
@law(batch=aggregates(most=len(POLLUTANTS)))
def test_a_corrected_hour_ends_in_the_same_values_as_a_right_one(
    component: Component, batch: AggregateBatch
) -> None:
    """Replaying only the newest revision of each hour gives what the corrections led to."""
    newest: dict[tuple[int, int, int], int] = {}
    for row in range(len(batch)):
        key = (int(batch.series[row]), int(batch.start[row]), int(batch.length[row]))
        newest[key] = row
    rows = sorted(newest.values(), key=lambda row: int(batch.start[row]))

    corrected = published(make(component, SeriesTable(KEYS)), singles(batch))

    right = published(make(component, SeriesTable(KEYS)), singles(batch.take(np.array(rows, int))))
    assert_equal(corrected, right)


@every_index
@law(batch=aggregates(most=len(POLLUTANTS)))
def test_values_are_plausible_and_input_stays_untouched(
    component: Component, batch: AggregateBatch
) -> None:
    """A value comes with a category and a coverage; without one there is no category."""
    before = batch.mean.copy()

    found = make(component, SeriesTable(KEYS)).update(batch)

    np.testing.assert_array_equal(batch.mean, before)
    np.testing.assert_array_equal(np.isnan(found.value), found.category == 0)
    assert ((found.coverage >= 0) & (found.coverage <= 1)).all()
    assert (found.value[~np.isnan(found.value)] >= 0).all()
    assert (found.category <= len(component.cls.scale.categories)).all()


@every_index
@law(batch=aggregates(most=len(POLLUTANTS)))
def test_a_restored_index_goes_on_as_if_nothing_had_been(
    component: Component, batch: AggregateBatch
) -> None:
    """A snapshot holds the whole state, and later calls do not change it."""
    half = len(batch) // 2
    first, second = batch.take(slice(half)), batch.take(slice(half, None))
    uninterrupted = make(component, SeriesTable(KEYS))
    uninterrupted.update(first)
    snapshot = uninterrupted.snapshot()
    expected = published(uninterrupted, [second])
    restored = make(component, SeriesTable(KEYS))
    restored.restore(snapshot)

    assert_equal(published(restored, [second]), expected)
    assert_same(restored.snapshot(), uninterrupted.snapshot())
