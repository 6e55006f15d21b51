# SPDX-License-Identifier: EUPL-1.2
"""What Apache Beam and Apache Flink say of windows, as far as Lamppost has the same words.

Sources: apache/beam, sdks/python/apache_beam/testing/data/trigger_transcripts.yaml (Apache-2.0),
and the tests of apache/flink's TimeWindow, EventTimeTrigger and WindowOperator. Elements are their
own timestamps, in seconds here. What does not apply:

- ``early_late_sessions``, session windows of both: devices report by a clock of their own, not in
  visits, so there are no sessions.
- ``discarding_early_fixed``, early panes by count: a window is published when it is whole. Until
  then its readings are published one by one.
- Discarding late panes: a revision holds everything its window holds (accumulating), so that the
  newest one alone is right.
- Output stamps by combiner: a window is published with its start and length, and its earliest and
  latest reading stand in ``first`` and ``last``.
- Empty on-time panes: a window without a reading is not published.
"""

from __future__ import annotations

import numpy as np
import pytest

from lamppost.batch import AggregateBatch, JudgedBatch, ReadingBatch
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import SECOND_NS
from processors.arrival import Arrival
from processors.windows.event_time import EventTimeSettings, EventTimeWindows

BEAM = pytest.mark.vector("windows", "apache/beam trigger_transcripts.yaml, fixed_default")
FLINK = pytest.mark.vector(
    "windows", "apache/flink EventTimeTrigger and WindowOperator, with their tests"
)

TIME_WINDOW = pytest.mark.vector("windows", "apache/flink TimeWindow, getWindowStartWithOffset")
LATENESS = pytest.mark.vector("windows", "apache/flink WindowOperator, isWindowLate")

SERIES = SeriesTable([SeriesKey("s", "pm2_5")])
Pane = tuple[int, int, int, float, float]


class Transcript:
    """Ten-second windows that are told elements and watermarks, as the transcripts do."""

    def __init__(self, *, lateness: float = 0.0) -> None:
        """Start without elements."""
        settings = EventTimeSettings(
            lengths=("10s",), allowed_lateness_s=lateness, correction_horizon_s=3600
        )
        self._windows = EventTimeWindows(settings, SERIES)
        self._newest, self._lateness = 0, round(lateness)

    def elements(self, *seconds: int) -> list[Pane]:
        """Take elements in."""
        time = np.array(seconds, np.int64) * SECOND_NS
        zeros = np.zeros(len(time))
        readings = ReadingBatch(
            series=zeros, time=time, received=zeros, value=seconds, flag=zeros + 1, reasons=zeros
        )
        self._windows.add(JudgedBatch.unscored(readings))
        self._newest = max(self._newest, *seconds)
        return panes(self._windows.advance(0))

    def watermark(self, second: int) -> list[Pane]:
        """Let the watermark reach an instant: engine time passes while the series is silent."""
        waited = second + self._lateness - self._newest
        return panes(self._windows.advance(waited * SECOND_NS))


def panes(batch: AggregateBatch) -> list[Pane]:
    """Return first second, last second and revision of each window, its count and its sum."""
    last = (batch.start + batch.length) // SECOND_NS - 1
    return list(
        zip(
            (batch.start // SECOND_NS).tolist(),
            last.tolist(),
            batch.revision.tolist(),
            batch.count.tolist(),
            batch.total.tolist(),
            strict=True,
        )
    )


@BEAM
def test_fixed_default() -> None:
    """Beam, fixed_default: 1, 2, 3, 10, 11 and a watermark of 25 give both windows on time."""
    transcript = Transcript(lateness=1000)
    transcript.elements(1, 2, 3, 10, 11)

    assert transcript.watermark(25) == [(0, 9, 0, 3, 6.0), (10, 19, 0, 2, 21.0)]


@FLINK
def test_elements_of_one_series_are_its_watermark() -> None:
    """Where nothing is waited for, 10 closes [0, 9] by itself, and 11 closes nothing."""
    transcript = Transcript()

    assert transcript.elements(1, 2, 3, 10) == [(0, 9, 0, 3, 6.0)]
    assert transcript.elements(11) == []


@TIME_WINDOW
@pytest.mark.parametrize(("second", "first"), [(0, 0), (9, 0), (10, 10), (-1, -10), (-10, -10)])
def test_an_element_belongs_to_the_window_that_begins_before_it(second: int, first: int) -> None:
    """[start, end), also before 1970."""
    transcript = Transcript()
    transcript.elements(second)

    ((start, last, *_),) = transcript.watermark(100)

    assert (start, last) == (first, first + 9)


@FLINK
@pytest.mark.parametrize(("watermark", "is_closed"), [(19, False), (20, True)])
def test_a_window_closes_when_the_watermark_has_passed_its_last_instant(
    watermark: int, *, is_closed: bool
) -> None:
    """Flink's EventTimeTrigger: not before maxTimestamp, the last instant inside."""
    transcript = Transcript(lateness=1000)
    transcript.elements(10)

    assert bool(transcript.watermark(watermark)) == is_closed


@FLINK
def test_a_late_element_fires_at_once_and_again_per_element() -> None:
    """Flink, late but allowed, accumulating: each pane repeats what was there before."""
    transcript = Transcript()
    transcript.elements(1, 2, 3, 10)

    assert transcript.elements(4) == [(0, 9, 1, 4, 10.0)]
    assert transcript.elements(5) == [(0, 9, 2, 5, 15.0)]


def test_an_element_that_was_there_before_fires_nothing() -> None:
    """Neither Beam nor Flink knows elements again; a city's devices send them twice."""
    transcript = Transcript()
    transcript.elements(1, 2, 3, 10)

    assert transcript.elements(3) == []


def arrivals(*seconds: float) -> list[bool]:
    """Return whether each element is taken where an hour of lateness is allowed."""
    windows = EventTimeWindows(EventTimeSettings(correction_horizon_s=3600), SERIES)
    arrival = Arrival(SERIES, windows)

    def arrive(second: float) -> bool:
        zeros = np.zeros(1)
        one = ReadingBatch(
            series=zeros,
            time=np.array([round(second * SECOND_NS)]),
            received=zeros,
            value=zeros,
            flag=zeros,
            reasons=zeros,
        )
        return len(arrival.sort_out(one).kept) == 1

    return [arrive(second) for second in seconds]


@LATENESS
@pytest.mark.parametrize(("newest", "is_taken"), [(4199.999, True), (4200.0, False)])
def test_the_last_element_of_a_window_may_be_as_late_as_flink_allows(
    newest: float, *, is_taken: bool
) -> None:
    """[0, 600) and 3600 s: while the watermark, a millisecond behind the newest, is < 4199.999."""
    assert arrivals(newest, 599.999) == [True, is_taken]


@pytest.mark.parametrize(("second", "is_taken"), [(400, True), (399, False)])
def test_an_element_beyond_the_horizon_is_no_late_one(second: int, *, is_taken: bool) -> None:
    """Flink drops what is later than the allowed lateness behind the watermark at window's end.

    Lamppost counts from the newest reading of the series to the reading itself, and what is
    beyond goes to quarantine.
    """
    assert arrivals(4000, second) == [True, is_taken]
