# SPDX-License-Identifier: EUPL-1.2
"""Laws every registered check obeys; a new one is picked up by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lamppost.batch import ReadingBatch
from lamppost.component import Check, Component, Rows, Verdict, all_reasons, registered
from lamppost.flags import FAIL, MISSING, NOT_EVALUATED, SUSPECT, merge
from lamppost.grouping import Groups
from lamppost.series import SeriesTable
from processors.quality.sentinel import SENTINEL
from processors.quality.stage import QualityStage
from processors.quality.traffic_plausibility import NO_VEHICLE
from tests.processor_conformance import assert_described, assert_same, components, law, make
from tests.strategies import KEYS, Stream, streams

every_check = pytest.mark.parametrize(
    "component", components("check").values(), ids=lambda found: found.name
)


def rows_of(batch: ReadingBatch) -> Rows:
    """Sort a batch for a check."""
    groups = Groups.by_series(batch.series)
    columns = (column[groups.order] for column in (batch.time, batch.value, batch.flag))
    return Rows(groups, *columns)


def judged(check: Check, batches: Sequence[ReadingBatch]) -> dict[str, Any]:
    """Return flags and reasons of all readings, amendments included, by (series, time)."""
    verdicts: dict[tuple[int, int], tuple[int, int]] = {}
    newest: dict[int, int] = {}
    for batch in batches:
        rows = rows_of(batch)
        verdict = check.judge(rows)
        amended = [] if verdict.amended_series is None else verdict.amended_series.tolist()
        assert len(set(amended)) == len(amended)
        for place, code in enumerate(amended):
            key = (code, newest[code])
            flag, reasons = verdicts[key]
            worse = stronger(flag, int(verdict.amended_flag[place]))
            verdicts[key] = (worse, reasons | int(verdict.amended_reasons[place]))
        for row in range(len(rows)):
            key = (int(rows.groups.series[row]), int(rows.time[row]))
            verdicts[key] = (int(verdict.flag[row]), int(verdict.reasons[row]))
            newest[key[0]] = key[1]
    ordered = sorted(verdicts.items())
    return {"verdicts": np.array([verdict for _, verdict in ordered]).reshape(-1, 2)}


def stronger(flag: int, later: int) -> int:
    """Return what two verdicts on one number make: one that it is no measurement stands."""
    return (
        MISSING if MISSING in {flag, later} else int(merge(np.uint8([flag]), np.uint8([later]))[0])
    )


@every_check
def test_a_check_is_described(component: Component) -> None:
    """Name, summary and every setting say what they are for."""
    assert_described(component)


@every_check
def test_a_check_explains_what_it_flags(component: Component) -> None:
    """Its reasons are registered, with a sentence and a citation."""
    assert component.cls.reasons
    for reason in component.cls.reasons:
        assert reason in all_reasons()
        assert reason.sentence.endswith(".")
        assert reason.citation


@every_check
@law(stream=streams())
def test_a_verdict_has_one_explained_flag_per_row(component: Component, stream: Stream) -> None:
    """Row count is kept, input untouched, NaN is missing, and suspect or fail has a reason."""
    check = make(component, stream.series)
    rows = rows_of(stream.readings)
    before = [column.copy() for column in (rows.time, rows.value, rows.flag)]

    verdict = check.judge(rows)

    assert len(verdict.flag) == len(verdict.reasons) == len(rows)
    for column, copy in zip((rows.time, rows.value, rows.flag), before, strict=True):
        np.testing.assert_array_equal(column, copy)
    assert (verdict.flag[np.isnan(rows.value)] == MISSING).all()
    flagged = np.isin(verdict.flag, [SUSPECT, FAIL])
    flagged |= (verdict.flag == MISSING) & ~np.isnan(rows.value)
    own = sum(int(reason.mask) for reason in component.cls.reasons)
    assert (verdict.reasons[flagged] & np.uint32(own) != 0).all()


@every_check
def test_an_empty_batch_gives_an_empty_verdict(component: Component) -> None:
    """Nothing in, nothing out."""
    check = make(component, SeriesTable(KEYS))

    verdict = check.judge(rows_of(ReadingBatch.empty()))

    assert len(verdict.flag) == len(verdict.reasons) == 0


@every_check
@law(stream=streams())
def test_verdicts_do_not_depend_on_the_cut(component: Component, stream: Stream) -> None:
    """One batch, some batches and one reading at a time end in the same flags."""
    whole = judged(make(component, stream.series), stream.whole())

    assert_same(judged(make(component, stream.series), stream.pieces()), whole)
    assert_same(judged(make(component, stream.series), stream.singles()), whole)


@every_check
@law(stream=streams())
def test_series_do_not_touch_each_other(component: Component, stream: Stream) -> None:
    """Another interleaving of the series gives the same flags, unless the check compares them."""
    if component.cls.scope != "series":
        pytest.skip("this check compares series: what it knows is what arrived before")
    mixed = judged(make(component, stream.series), stream.whole())

    assert_same(judged(make(component, stream.series), [stream.by_series()]), mixed)


@every_check
@law(stream=streams())
def test_a_restored_check_goes_on_as_if_nothing_had_been(
    component: Component, stream: Stream
) -> None:
    """A snapshot holds the whole state, and later calls do not change it."""
    first, second = stream.halves()
    uninterrupted = make(component, stream.series)
    uninterrupted.judge(rows_of(first))
    snapshot = uninterrupted.snapshot()
    expected = uninterrupted.judge(rows_of(second))
    restored = make(component, stream.series)
    restored.restore(snapshot)

    verdict = restored.judge(rows_of(second))

    assert_same({"flag": verdict.flag}, {"flag": expected.flag})
    assert_same(restored.snapshot(), uninterrupted.snapshot())


@every_check
@law(stream=streams())
def test_a_check_says_nothing_of_series_that_do_not_concern_it(
    component: Component, stream: Stream
) -> None:
    """Shown with others or left out, they change no verdict and get none."""
    shown, alone = make(component, stream.series), make(component, stream.series)
    rows = rows_of(stream.readings)
    concerned = np.array([shown.concerns(key) for key in stream.series], np.bool_)
    mine = np.flatnonzero(concerned[rows.groups.series])

    verdict = shown.judge(rows)

    assert_same(
        {"flag": verdict.flag[mine], "reasons": verdict.reasons[mine]},
        vars_of(alone.judge(rows.take(mine))),
    )
    others = np.delete(verdict.flag, mine)
    assert np.isin(others, [NOT_EVALUATED, MISSING]).all()


def vars_of(verdict: Verdict) -> dict[str, Any]:
    """Return flags and reasons by name."""
    return {"flag": verdict.flag, "reasons": verdict.reasons}


def stage(stream: Stream) -> QualityStage:
    """Build a stage of all checks."""
    checks = [make(component, stream.series) for component in registered("check").values()]
    return QualityStage(checks, stream.series)


def final(quality: QualityStage, batches: Sequence[ReadingBatch]) -> dict[str, Any]:
    """Return what a stage has published in the end, newest revision by (series, time)."""
    published: dict[tuple[int, int], tuple[int, int]] = {}
    for batch in batches:
        known = quality.without_codes(batch).readings
        judgement = quality.judge(known, np.ones(len(batch), np.bool_))
        for part in (judgement.readings, judgement.amended):
            for row in range(len(part)):
                key = (int(part.series[row]), int(part.time[row]))
                published[key] = (int(part.flag[row]), int(part.reasons[row]))
    return {"published": np.array([value for _, value in sorted(published.items())])}


@law(stream=streams())
def test_all_checks_together_do_not_depend_on_the_cut(stream: Stream) -> None:
    """After amendments the merged flags and reasons are the same for every cut."""
    whole = final(stage(stream), stream.whole())

    assert_same(final(stage(stream), stream.pieces()), whole)
    assert_same(final(stage(stream), stream.singles()), whole)


@law(stream=streams())
def test_the_stage_never_lowers_a_flag_and_explains_every_one(stream: Stream) -> None:
    """What was known about a present value before can only get worse, and nothing stays silent."""
    quality, in_order = stage(stream), np.arange(len(stream.readings)) % 3 != 0
    batch = quality.without_codes(stream.readings).readings

    found = quality.judge(batch, in_order).readings

    present = ~np.isnan(batch.value) & (found.reasons & NO_VEHICLE.mask == 0)
    np.testing.assert_array_equal(merge(found.flag, batch.flag)[present], found.flag[present])
    assert ((found.flag == MISSING) == ~present).all()
    assert (found.reasons[found.flag != 1] != 0).all()
    np.testing.assert_array_equal(found.time, batch.time)
    np.testing.assert_array_equal(found.value, batch.value)


@law(stream=streams())
def test_a_code_is_no_measurement_for_anybody(stream: Stream) -> None:
    """It is taken out at arrival, with its reason and what it was; all else stays as it came."""
    batch = stream.readings

    found = stage(stream).without_codes(batch)

    codes = np.isnan(found.readings.value) & ~np.isnan(batch.value)
    sentinel = found.readings.reasons & SENTINEL.mask != 0
    np.testing.assert_array_equal(codes, sentinel)
    assert (found.readings.flag[codes] == MISSING).all()
    told = found.of_rows(np.arange(len(batch)))
    assert [(one.series, one.time, one.reason) for one in told] == [
        (int(batch.series[row]), int(batch.time[row]), SENTINEL.bit)
        for row in np.flatnonzero(codes)
    ]
    for one, row in zip(told, np.flatnonzero(codes), strict=True):
        assert f"{batch.value[row]:.10g}" in one.detail
    np.testing.assert_array_equal(found.readings.value[~codes], batch.value[~codes])
    np.testing.assert_array_equal(found.readings.flag[~codes], batch.flag[~codes])


@every_check
@law(stream=streams())
def test_the_numbers_behind_a_reason_belong_to_a_reading_that_has_it(
    component: Component, stream: Stream
) -> None:
    """Details name a row of the batch and a reason it was given."""
    rows = rows_of(stream.readings)

    verdict = make(component, stream.series).judge(rows)

    given = {
        (int(rows.groups.series[row]), int(rows.time[row])): int(verdict.reasons[row])
        for row in range(len(rows))
    }
    for one in verdict.details:
        assert given[one.series, one.time] >> one.reason & 1
        assert one.detail.endswith(".")


@every_check
@law(stream=streams())
def test_the_numbers_behind_a_reason_do_not_depend_on_the_cut(
    component: Component, stream: Stream
) -> None:
    """What is told last of a reading and a reason stands."""

    def told(batches: Sequence[ReadingBatch]) -> dict[tuple[int, int, int], str]:
        check = make(component, stream.series)
        details = [one for batch in batches for one in check.judge(rows_of(batch)).details]
        return {(one.series, one.time, one.reason): one.detail for one in details}

    assert told(stream.singles()) == told(stream.pieces()) == told(stream.whole())
