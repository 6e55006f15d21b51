# SPDX-License-Identifier: EUPL-1.2
"""Laws every registered index obeys; a new one is picked up by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from lamppost.batch import AggregateBatch
from lamppost.component import Component, Index
from lamppost.index_needs import NamesTables, RunsOn
from lamppost.indices import named_tables
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS
from tests.processor_conformance import assert_described, assert_same, components, law, make
from tests.strategies import aggregates

every_index = pytest.mark.parametrize(
    "component", components("index").values(), ids=lambda found: found.name
)
POLLUTANTS = ("pm2_5", "o3", "so2", "co", "no2", "pm10", "temperature")
KEYS = tuple(SeriesKey("aq-1", quantity) for quantity in POLLUTANTS)
FIELDS = ("concentration", "value", "category", "coverage", "beyond", "table")


def singles(batch: AggregateBatch) -> list[AggregateBatch]:
    """Cut a batch into single rows."""
    return [batch.take(slice(i, i + 1)) for i in range(len(batch))]


def published(
    index: Index, batches: Sequence[AggregateBatch], *, silent_until: int = 0
) -> dict[tuple[int, int], list[float]]:
    """Return the newest value of each series and end; revisions must rise.

    Args:
        index: the index.
        batches: what it is told, one after the other.
        silent_until: an instant nothing is told until, after the last batch; 0 for none.
    """
    values: dict[tuple[int, int], list[float]] = {}
    revisions: dict[tuple[int, int], int] = {}
    steps = [partial(index.update, batch) for batch in batches]
    if silent_until and isinstance(index, RunsOn):
        steps.append(partial(index.run_on, np.full(len(KEYS), silent_until)))
    for step in steps:
        found = step()
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
def test_silence_says_the_same_whenever_it_is_noticed(
    component: Component, batch: AggregateBatch
) -> None:
    """Hours without a window have their values, told as time goes by or when it is over."""
    batch = batch.take(np.argsort(batch.start, kind="stable"))
    end = int((batch.start + batch.length).max(initial=0)) + 30 * HOUR_NS
    at_once, step_by_step = (make(component, SeriesTable(KEYS)) for _ in range(2))

    told: dict[tuple[int, int], list[float]] = {}
    for row in singles(batch):
        told |= published(step_by_step, [row], silent_until=int(row.start[0]))
    told |= published(step_by_step, [], silent_until=end)

    assert_equal(dict(sorted(told.items())), published(at_once, [batch], silent_until=end))
    assert_same_tail(at_once, step_by_step, end)


def assert_same_tail(one: Index, other: Index, end: int) -> None:
    """Check that two indices have nothing more to say about a silence."""
    for index in (one, other):
        if isinstance(index, RunsOn):
            assert len(index.run_on(np.full(len(KEYS), end + 100 * HOUR_NS))) == 0


@every_index
@law(batch=aggregates(most=len(POLLUTANTS)))
def test_every_value_names_its_table(component: Component, batch: AggregateBatch) -> None:
    """By a number behind which averaging and version stand."""
    index = make(component, SeriesTable(KEYS))

    found = index.update(batch)

    assert isinstance(index, NamesTables)
    told = json.loads(named_tables(found, {index.number: [("", ""), *index.named_tables]}))
    tables = told.get(str(index.number), {})
    assert {str(table) for table in found.table.tolist()} == tables.keys()
    assert all(averaging and version for averaging, version in tables.values())


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
