# SPDX-License-Identifier: EUPL-1.2
"""How far the clock behind each series is off, from the quickest of its readings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int32Array, Int64Array
from lamppost.clock_skew import NO_CLOCKS, RIGHT_WITHIN_NS, ClockBatch, is_steady
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import BAD_TIME, DAY_NS, MINUTE_NS

SPAN_NS: Final = 10 * MINUTE_NS
"""Of each series, the quickest reading of every ten minutes counts (choice)."""
SPANS: Final = 5
NEEDED: Final = 3
"""The last five spans in which something was heard count, and at least three (choice)."""

_NOTICEABLE_PART: Final = 20
_AGAIN_NS: Final = DAY_NS
_NO_LAG: Final = np.iinfo(np.int64).max
_NEVER: Final = np.int64(-(2**62))


class Estimates(NamedTuple):
    """What a step of time brought.

    Attributes:
        renewed: of every series whose estimate rests on something new.
        said: those of them that are to be published.
    """

    renewed: ClockBatch
    said: ClockBatch


class SkewEstimate:
    """Estimates, for each series, how far receipt lies behind the time its device gives.

    A reading's lag, receipt less device time, is the skew of the clock plus the delay of the
    reading, and no delay is below zero: the smallest lag of a span comes nearest to the skew. The
    estimate is the median of the smallest lags of the last spans, so that neither an hour of
    buffered readings nor one strange message moves it.

    Spans are ten minutes of receipt. What arrives in a span that is over, because it waited in the
    log or was read again out of quarantine, counts into the open one if it is less than a span late
    and not at all if it is later.
    """

    def __init__(self, series: SeriesTable) -> None:
        """Start without having heard anybody; the table of series may grow."""
        self._series = series
        self._span = 0
        self._fresh = False
        self._state = SeriesState(
            open=np.int64(_NO_LAG),
            lags=np.full(SPANS, _NO_LAG, np.int64),
            spans=np.int64(0),
            until=_NEVER,
            fresh=np.bool_(False),
            said=np.int64(0),
            said_spread=np.int64(0),
            said_at=_NEVER,
        )

    def hear(self, series: Int32Array, claimed: Int64Array, received: Int64Array) -> None:
        """Take in readings in order of arrival.

        Args:
            series: code of each.
            claimed: the instant its device gave, believable or not; NO_TIME or BAD_TIME for none.
            received: receipt of each.
        """
        if not len(series):
            return
        self._state.grow(len(self._series))
        if int(claimed.min()) <= BAD_TIME:
            rows = np.flatnonzero(claimed > BAD_TIME)
            if not len(rows):
                return
            series, claimed, received = series[rows], claimed[rows], received[rows]
        lag = received - claimed
        if int(received.max()) < (self._span + 1) * SPAN_NS:
            self._take(series, lag, received)
            return
        span = np.maximum(np.maximum.accumulate(received // SPAN_NS), self._span)
        edges = [0, *(np.flatnonzero(np.diff(span)) + 1).tolist(), len(span)]
        for begin, end in itertools.pairwise(edges):
            self._begin(int(span[begin]))
            piece = slice(begin, end)
            self._take(series[piece], lag[piece], received[piece])

    def advance(self, now: int) -> Estimates:
        """Let time pass, and return what is known anew."""
        self._begin(now // SPAN_NS)
        if not self._fresh:
            return _NOTHING
        rows = np.flatnonzero(self._state["fresh"])
        self._state["fresh"][rows] = False
        self._fresh = False
        renewed = self._estimates(rows[self._state["spans"][rows] >= NEEDED])
        news = self._is_news(renewed, now)
        said = renewed.take(news)
        for name, column in (("said", said.skew), ("said_spread", said.spread), ("said_at", now)):
            self._state[name][said.series] = column
        return Estimates(renewed, said)

    def _take(self, series: Int32Array, lag: Int64Array, received: Int64Array) -> None:
        oldest = (self._span - 1) * SPAN_NS
        if int(received.min()) < oldest:
            rows = np.flatnonzero(received >= oldest)
            series, lag = series[rows], lag[rows]
        np.minimum.at(self._state["open"], series, lag)

    def _begin(self, span: int) -> None:
        """Close the open span when another begins."""
        if span <= self._span:
            return
        state = self._state
        rows = np.flatnonzero(state["open"] != _NO_LAG)
        if len(rows):
            state["lags"][rows, state["spans"][rows] % SPANS] = state["open"][rows]
            state["spans"][rows] += 1
            state["until"][rows] = (self._span + 1) * SPAN_NS
            state["open"][rows] = _NO_LAG
            state["fresh"][rows] = True
            self._fresh = True
        self._span = span

    def _estimates(self, rows: npt.NDArray[np.int64]) -> ClockBatch:
        """Return the estimate of series that have one."""
        lags = np.sort(self._state["lags"][rows], axis=1)
        known = np.minimum(self._state["spans"][rows], SPANS)
        each, outer = np.arange(len(rows)), (known - 1) // 4
        return ClockBatch(
            series=rows.astype(np.int32),
            # Of four the second: the smaller delays count.
            skew=lags[each, (known - 1) // 2],
            spread=lags[each, known - 1 - outer] - lags[each, outer],
            readings=known.astype(np.int32),
            until=self._state["until"][rows],
        )

    def _is_news(self, renewed: ClockBatch, now: int) -> npt.NDArray[np.bool_]:
        """Return what differs noticeably from what was said last, or was said a day ago."""
        said, spread, at = (
            self._state[name][renewed.series] for name in ("said", "said_spread", "said_at")
        )
        moved = np.abs(renewed.skew - said)
        noticeable = np.maximum(np.abs(said) // _NOTICEABLE_PART, RIGHT_WITHIN_NS)
        turned = is_steady(renewed.skew, renewed.spread) != is_steady(said, spread)
        turned &= np.abs(renewed.skew) > RIGHT_WITHIN_NS
        news: npt.NDArray[np.bool_] = (moved > noticeable) | turned | (now - at >= _AGAIN_NS)
        return news

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return {**self._state.snapshot(), "span": np.array(self._span)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot; one from before clocks were looked at says nothing."""
        if snapshot:
            self._state.restore(snapshot)
            self._span = int(snapshot["span"])
            self._fresh = bool(self._state["fresh"].any())


_NOTHING: Final = Estimates(NO_CLOCKS, NO_CLOCKS)
