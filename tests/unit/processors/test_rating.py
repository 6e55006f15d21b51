# SPDX-License-Identifier: EUPL-1.2
"""Raw and corrected series side by side: which windows and index values are rated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.batch import AggregateBatch, IndexBatch
from lamppost.rating import Rating
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS
from processors.rating import RatedSeries
from tests.processor_cases import NAN, START_NS, hours

RAW, LRAPA, FIT, OTHER = range(4)
KEYS = (
    SeriesKey("pa-1", "pm2_5", "channel=a"),
    SeriesKey("pa-1", "pm2_5", "channel=ab;corrected=lrapa"),
    SeriesKey("pa-1", "pm2_5", "channel=a;corrected=local_fit"),
    SeriesKey("pa-2", "pm2_5"),
)


def rated(chosen: RatedSeries, *told: AggregateBatch) -> list[int]:
    """Return the series that are rated of windows that close together."""
    closed = AggregateBatch.concat(list(told))
    chosen.take_in(closed)
    return chosen.windows(closed).series.tolist()


def hour(series: int, number: int, mean: float = 10.0) -> AggregateBatch:
    """Return one hour of a series."""
    return hours([mean], first=number, series=series)


def values(series: list[int], number: int) -> IndexBatch:
    """Return index values of some series, of one hour."""
    count = len(series)
    return IndexBatch(
        series=np.array(series, np.int32),
        index=np.ones(count, np.uint8),
        end=np.full(count, START_NS + (number + 1) * HOUR_NS),
        revision=np.zeros(count, np.int32),
        value=np.full(count, 50.0),
        category=np.ones(count, np.uint8),
        concentration=np.full(count, 9.0),
        coverage=np.ones(count),
        beyond=np.zeros(count, np.uint8),
    )


def test_a_corrected_series_is_rated_in_place_of_the_raw_one() -> None:
    """Both channels belong to it; another sensor does not."""
    chosen = RatedSeries(Rating(), SeriesTable(KEYS))

    found = rated(chosen, hour(RAW, 0), hour(LRAPA, 0), hour(OTHER, 0))

    assert found == [LRAPA, OTHER]
    assert chosen.indices(values([RAW, LRAPA, OTHER], 0)).series.tolist() == [LRAPA, OTHER]


@pytest.mark.parametrize(
    ("rating", "expected"),
    [
        (Rating(), [FIT]),
        (Rating(prefer=("lrapa", "local_fit")), [LRAPA]),
        (Rating(prefer=()), [FIT]),
        (Rating(series="raw"), [RAW]),
        (Rating(series="both"), [RAW, LRAPA, FIT]),
    ],
)
def test_the_policy_chooses_among_raw_and_several_corrections(
    rating: Rating, expected: list[int]
) -> None:
    """A local fit before fixed formulas; one of the formulas by the alphabet."""
    chosen = RatedSeries(rating, SeriesTable(KEYS))

    assert rated(chosen, *(hour(series, 0) for series in (RAW, LRAPA, FIT))) == expected


def test_the_raw_series_stands_in_where_the_corrected_one_has_stopped() -> None:
    """Three hours without a valid corrected window, as behind a broken humidity sensor."""
    chosen = RatedSeries(Rating(current_s=3 * 3600), SeriesTable(KEYS))
    rated(chosen, hour(RAW, 0), hour(LRAPA, 0))

    found = [rated(chosen, hour(RAW, number), hour(LRAPA, number, NAN)) for number in range(1, 6)]
    back = rated(chosen, hour(RAW, 6), hour(LRAPA, 6))

    assert found == [[LRAPA]] * 3 + [[RAW, LRAPA]] * 2
    assert back == [LRAPA]


def test_hours_from_before_there_was_a_correction_stay_rated() -> None:
    """A late revision of an hour that was told before the correction was switched on."""
    chosen = RatedSeries(Rating(), SeriesTable(KEYS))
    rated(chosen, hour(RAW, 10), hour(LRAPA, 10))

    assert rated(chosen, hour(RAW, 9)) == [RAW]
    assert rated(chosen, hour(RAW, 10)) == []


def test_a_series_that_appears_later_is_found() -> None:
    """The table of series grows."""
    table = SeriesTable(KEYS[:1])
    chosen = RatedSeries(Rating(), table)
    before = rated(chosen, hour(RAW, 0))
    table.code(KEYS[1])

    assert before == [RAW]
    assert rated(chosen, hour(RAW, 1), hour(LRAPA, 1)) == [LRAPA]


@given(
    st.lists(
        st.tuples(st.sampled_from([RAW, LRAPA, FIT, OTHER]), st.integers(0, 9), st.booleans()),
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_restored_is_as_if_never_stopped(told: list[tuple[int, int, bool]], cut: int) -> None:
    """The state is a snapshot of first and last instants."""
    through, stopped = (RatedSeries(Rating(), SeriesTable(KEYS)) for _ in range(2))
    steps = [hour(series, number, 5.0 if valid else NAN) for series, number, valid in told]
    whole = [rated(through, step) for step in steps]

    before = [rated(stopped, step) for step in steps[:cut]]
    resumed = RatedSeries(Rating(), SeriesTable(KEYS))
    resumed.restore(stopped.snapshot())
    after = [rated(resumed, step) for step in steps[cut:]]

    assert before + after == whole
