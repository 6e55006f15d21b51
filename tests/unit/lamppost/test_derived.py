# SPDX-License-Identifier: EUPL-1.2
"""Derived series: their names, their codes, what they inherit."""

from __future__ import annotations

import numpy as np

from lamppost.batch import AMENDED, CORRECTED, DERIVED, REDERIVED, JudgedBatch
from lamppost.derived import DerivedSeries, derived, named, revision_of
from lamppost.flags import CORRECTION, OUT_OF_ORDER
from lamppost.series import SeriesKey, SeriesTable
from tests.processor_cases import readings


def halved(key: SeriesKey) -> SeriesKey | None:
    """Name the series derived from speeds."""
    return named(key, "derived", "halved") if key.quantity == "speed" else None


def test_a_derived_series_gets_its_code_when_it_is_needed() -> None:
    """Series nothing arrives of cost no code; the table may grow at any time."""
    series = SeriesTable([SeriesKey("a", "flow"), SeriesKey("b", "speed", "lane=1")])
    derivation = DerivedSeries(series, halved)

    assert derivation.concerns(np.array([1, 0, 1], np.int32)).tolist() == [True, False, True]
    assert len(series) == 2

    assert derivation.of(np.array([1, 1], np.int32)).tolist() == [2, 2]
    assert series[2] == SeriesKey("b", "speed", "derived=halved;lane=1")
    late = series.code(SeriesKey("c", "speed"))
    assert derivation.of(np.array([late, 1], np.int32)).tolist() == [4, 2]


def test_nothing_is_derived_from_what_is_derived() -> None:
    """A method does not feed on its own results, nor on those of others."""
    series = SeriesTable(
        [SeriesKey("b", "speed", "corrected=x"), SeriesKey("b", "speed", "lane=1")]
    )

    concerned = DerivedSeries(series, halved).concerns(np.array([0, 1], np.int32))

    assert concerned.tolist() == [False, True]


def test_what_is_derived_inherits_instants_flags_and_reasons() -> None:
    """That the device replaced a number is said by the revision, not by a reason."""
    source = JudgedBatch.unscored(readings([4.0, 6.0], flag=3), CORRECTED)
    given = np.uint32([CORRECTION.mask | OUT_OF_ORDER.mask, 0])

    made = derived(source, np.int32([7, 7]), source.value / 2, reasons=given)

    assert made.value.tolist() == [2, 3]
    assert made.flag.tolist() == [3, 3]
    assert made.reasons.tolist() == [int(OUT_OF_ORDER.mask), 0]
    np.testing.assert_array_equal(made.received, source.received)
    assert np.isnan(made.score).all()


def test_the_revision_tells_first_from_later() -> None:
    """An amended or corrected input leads to a derived reading that replaces another."""
    revisions = revision_of(np.int32([0, AMENDED, CORRECTED]))

    assert revisions.tolist() == [DERIVED, REDERIVED, REDERIVED]
