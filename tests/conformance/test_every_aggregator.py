# SPDX-License-Identifier: EUPL-1.2
"""Laws every registered aggregator obeys; a new one is picked up by itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lamppost.batch import AggregateBatch, JudgedBatch, ReadingBatch
from lamppost.component import Aggregator, Component
from lamppost.frames import arrow_bytes
from lamppost.series import SeriesTable
from lamppost.times import DAY_NS
from tests.processor_conformance import assert_described, components, law, make
from tests.strategies import KEYS, START_NS, Stream, streams

every_aggregator = pytest.mark.parametrize(
    "component", components("aggregator").values(), ids=lambda found: found.name
)
END_NS = START_NS + 400 * DAY_NS


def closed(aggregator: Aggregator, batches: Sequence[ReadingBatch]) -> bytes:
    """Return every window of some batches, as published bytes."""
    for batch in batches:
        aggregator.add(JudgedBatch.unscored(batch))
    return arrow_bytes(aggregator.advance(END_NS).to_arrow())


@every_aggregator
def test_an_aggregator_is_described(component: Component) -> None:
    """Name, summary and every setting say what they are for."""
    assert_described(component)


@every_aggregator
def test_nothing_in_gives_nothing_out(component: Component) -> None:
    """An empty batch closes no window."""
    aggregator = make(component, SeriesTable(KEYS))

    assert closed(aggregator, [ReadingBatch.empty()]) == arrow_bytes(
        AggregateBatch.empty().to_arrow()
    )


@every_aggregator
@law(stream=streams())
def test_windows_do_not_depend_on_the_cut(component: Component, stream: Stream) -> None:
    """One batch, some batches and one reading at a time give the same bytes."""
    whole = closed(make(component, stream.series), stream.whole())

    assert closed(make(component, stream.series), stream.pieces()) == whole
    assert closed(make(component, stream.series), stream.singles()) == whole


@every_aggregator
@law(stream=streams())
def test_restoring_a_snapshot_equals_never_stopping(component: Component, stream: Stream) -> None:
    """What a restored aggregator says is what the other would have said."""
    before, after = stream.halves()
    steady, restored = make(component, stream.series), make(component, stream.series)
    steady.add(JudgedBatch.unscored(before))
    middle = int(before.received.max()) if len(before) else START_NS
    steady.advance(middle)
    restored.restore(steady.snapshot())

    assert closed(restored, [after]) == closed(steady, [after])


@every_aggregator
@law(stream=streams())
def test_what_was_taken_in_is_known(component: Component, stream: Stream) -> None:
    """Every instant that was added is held with its value, before and after its window closed."""
    aggregator = make(component, stream.series)
    readings = stream.readings
    aggregator.add(JudgedBatch.unscored(readings))

    for now in (START_NS, END_NS):
        aggregator.advance(now)
        held, value = aggregator.known(readings.series, readings.time)
        assert held.all()
        same = (value == readings.value) | ((value != value) & (readings.value != readings.value))  # noqa: PLR0124 - NaN
        assert same.all()
