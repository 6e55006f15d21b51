# SPDX-License-Identifier: EUPL-1.2
"""Laws every registered detector obeys; a new one is picked up by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lamppost.batch import ReadingBatch
from lamppost.component import Component, Detector, Rows
from lamppost.flags import FAIL, MISSING
from lamppost.grouping import Groups
from lamppost.series import SeriesTable
from tests.processor_conformance import (
    assert_described,
    assert_same,
    components,
    law,
    make,
    raw_settings,
)
from tests.strategies import KEYS, Stream, streams

every_detector = pytest.mark.parametrize(
    "component", components("detector").values(), ids=lambda found: found.name
)
FIELDS = ("score", "expected", "band_low", "band_high")


def eager(component: Component, series: SeriesTable) -> Detector:
    """Build a detector that speaks soon, so that short streams show something."""
    raw = dict(raw_settings(component))
    quantities = raw.get("quantities", {})
    raw["quantities"] = {name: {**given, "warm_up": 2} for name, given in quantities.items()}
    return component.cls(component.parse(raw, "test"), series)


def scored(detector: Detector, batches: Sequence[ReadingBatch]) -> dict[str, Any]:
    """Return the evidence of all readings, ordered by series and time."""
    found = {name: [] for name in FIELDS}
    keys = []
    for batch in batches:
        groups = Groups.by_series(batch.series)
        order = groups.order
        evidence = detector.score(
            Rows(groups, batch.time[order], batch.value[order], batch.flag[order])
        )
        keys += list(zip(groups.series.tolist(), batch.time[order].tolist(), strict=True))
        for name in FIELDS:
            assert len(getattr(evidence, name)) == len(batch)
            found[name] += getattr(evidence, name).tolist()
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return {name: np.array(values)[order] for name, values in found.items()}


@every_detector
def test_a_detector_is_described(component: Component) -> None:
    """Name, summary and every setting say what they are for."""
    assert_described(component)


@every_detector
def test_an_empty_batch_gives_no_evidence(component: Component) -> None:
    """Nothing in, nothing out."""
    assert_same(
        scored(make(component, SeriesTable(KEYS)), [ReadingBatch.empty()]),
        {name: np.empty(0) for name in FIELDS},
    )


@every_detector
@law(stream=streams())
def test_scores_do_not_depend_on_the_cut(component: Component, stream: Stream) -> None:
    """One batch, some batches and one reading at a time give the same evidence."""
    whole = scored(eager(component, stream.series), stream.whole())

    assert_same(scored(eager(component, stream.series), stream.pieces()), whole)
    assert_same(scored(eager(component, stream.series), stream.singles()), whole)


@every_detector
@law(stream=streams())
def test_series_do_not_touch_each_other(component: Component, stream: Stream) -> None:
    """Another interleaving of the series gives the same evidence."""
    mixed = scored(eager(component, stream.series), stream.whole())

    assert_same(scored(eager(component, stream.series), [stream.by_series()]), mixed)


@every_detector
@law(stream=streams())
def test_input_stays_untouched_and_bad_readings_get_no_score(
    component: Component, stream: Stream
) -> None:
    """Failed, missing and infinite readings are not scored, and a score comes with its band."""
    batch = stream.readings.take(np.argsort(stream.readings.series, kind="stable"))
    before = batch.value.copy()

    found = scored(eager(component, stream.series), [batch])

    np.testing.assert_array_equal(batch.value, before)
    bad = np.isin(batch.flag, [FAIL, MISSING]) | ~np.isfinite(batch.value)
    assert np.isnan(found["score"][bad]).all()
    speaks = np.isfinite(found["score"])
    assert (found["band_low"] <= found["band_high"])[speaks].all()


@every_detector
@law(stream=streams())
def test_a_restored_detector_goes_on_as_if_nothing_had_been(
    component: Component, stream: Stream
) -> None:
    """A snapshot holds the whole state, and later calls do not change it."""
    first, second = stream.halves()
    uninterrupted = eager(component, stream.series)
    scored(uninterrupted, [first])
    snapshot = uninterrupted.snapshot()
    expected = scored(uninterrupted, [second])
    restored = eager(component, stream.series)
    restored.restore(snapshot)

    assert_same(scored(restored, [second]), expected)
    assert_same(restored.snapshot(), uninterrupted.snapshot())
