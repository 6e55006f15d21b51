# SPDX-License-Identifier: EUPL-1.2
"""From hourly means to the values of an index, hour by hour, and to what corrections change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import AggregateBatch, FloatArray, IndexBatch, Int64Array
from lamppost.index_needs import HeldHours
from lamppost.series import SeriesTable
from lamppost.state import Snapshot, nested, part
from lamppost.times import HOUR_NS
from lamppost.units import Conditions, to_eu_conditions

from ._hours import DAY_HOURS, MOST_NEAR, CodeArray, HourRings
from ._lookup import Lookup, located
from ._news import BoolArray, News, NewsReader, Rules
from ._quarters import QuarterRings
from ._rated import LastHours, Rate, Rated

_NOTHING: Final = IndexBatch.empty()
_NEVER_DUE: Final = np.iinfo(np.int64).max


class RunningValues:
    """The values of one index, from hourly aggregates, for every series of its pollutants.

    A value goes out when its hour closes, and again when a correction changes anything of it. An
    hour without a window has one too while the hours before can still give one, and for one hour
    more, without a value. What lies further back than a day is worked out from the hours the
    windows hold, as they are and as they were before, so that little has to be remembered here.
    """

    def __init__(
        self,
        number: int,
        series: SeriesTable,
        pollutants: Sequence[str],
        rate: Rate,
        rules: Rules,
        *,
        reach: int,
        outlasts: Sequence[int],
        by_quarter: Sequence[str] = (),
    ) -> None:
        """Start without hours.

        Args:
            number: of the index.
            series: the table of series.
            pollutants: canonical quantities, numbered as they stand.
            rate: what the index says.
            rules: what makes hours count.
            reach: hours one value is made of.
            outlasts: how many hours after its last window a series of each pollutant has values
                for, counting one that says there is none.
            by_quarter: pollutants whose quarters of an hour count too.
        """
        self._number = number
        self._series = series
        self._reader = NewsReader(series, pollutants, rules, by_quarter=by_quarter)
        self._rate, self._rules = rate, rules
        self._rings = HourRings(reach)
        self._outlasts = np.array(outlasts, np.int64)
        # Hours of which something changes with one of them: those made of it, or after a gap.
        self._span = max(reach, int(self._outlasts.max(initial=0)) + 1)
        self._quarters = QuarterRings(rules.corrected_hours + 2 * DAY_HOURS) if by_quarter else None
        self._due: tuple[CodeArray, Int64Array] | None = None
        self._held: HeldHours | None = None
        self._pollutants = pollutants
        self._to_eu = np.ones(len(pollutants))

    def weigh_at(self, conditions: Conditions) -> None:
        """Take masses of gases to be given at some conditions; the tables are about the EU's."""
        self._to_eu = np.array([to_eu_conditions(name, conditions) for name in self._pollutants])

    def look_back(self, held: HeldHours) -> None:
        """Ask here for hours further back than a day; without it they correct nothing."""
        self._held = held

    def update(self, aggregates: AggregateBatch) -> IndexBatch:
        """Take aggregates in and return the values they lead to."""
        news = self._reader.read(aggregates)
        if not len(news.codes):
            return _NOTHING
        places = self._rings.places(news.codes, len(self._series))
        newest = self._rings.newest(places)
        known = news.hour <= newest
        recent = news.hour > newest - self._rules.corrected_hours - DAY_HOURS
        self._due = None
        parts: list[IndexBatch] = []
        if known.any():
            parts += self._correct(places[known & recent], news.take(known & recent))
        fresh = ~known & news.is_told
        early = ~known & ~news.is_told
        if early.any() and self._quarters is not None:
            self._store_quarters(news.take(early))
        parts += self._append(*self._with_gaps(places[fresh], news.take(fresh)))
        return _newest_only(IndexBatch.concat(parts))

    def run_on(self, closed: Int64Array) -> IndexBatch:
        """Return the values of hours that have closed without a window.

        Args:
            closed: until when the windows of each series code have closed, ns UTC.
        """
        if self._due is None:
            self._due = self._next_due()
        codes, due = self._due
        places = np.flatnonzero(closed[codes] >= due).astype(np.int32)
        if not len(places):
            return _NOTHING
        codes, newest = codes[places], self._rings.newest(places)
        last = np.minimum(closed[codes] // HOUR_NS - 1, self._last_of_gap(places, codes))
        row, hour = _spans(newest + 1, last)
        self._due = None
        return IndexBatch.concat([*self._append(places[row], News.silence(codes[row], hour))])

    def _next_due(self) -> tuple[CodeArray, Int64Array]:
        """Return every series, and the instant at which its next hour without a window closes."""
        places = self._rings.all_places()
        codes, newest = self._rings.codes(places), self._rings.newest(places)
        lasts = newest < self._last_of_gap(places, codes)
        return codes, np.where(lasts, np.where(lasts, newest + 2, 0) * HOUR_NS, _NEVER_DUE)

    def _last_of_gap(self, places: CodeArray, codes: CodeArray) -> Int64Array:
        """Return the last hour of each series that has a value without a window of its own."""
        last: Int64Array = self._rings.told(places) + self._outlasts[self._reader.pollutants(codes)]
        return last

    def _with_gaps(self, places: CodeArray, news: News) -> tuple[CodeArray, News]:
        """Return new hours with those between them that have a value without a window."""
        follows = np.zeros(len(places), np.bool_)
        follows[1:] = places[1:] == places[:-1]
        before = np.roll(news.hour, 1)
        done = np.where(follows, before, self._rings.newest(places))
        told = np.where(follows, before, self._rings.told(places))
        last = told + self._outlasts[self._reader.pollutants(news.codes)]
        row, hour = _spans(done + 1, np.minimum(last, news.hour - 1))
        if not len(row):
            return places, news
        gaps = News.silence(news.codes[row], hour, quarters=news.quarters.shape[1])
        both, at = news.beside(gaps), np.append(places, places[row])
        order = np.lexsort((both.hour, at))
        return at[order], both.take(order)

    def snapshot(self) -> Snapshot:
        """Return everything that is held."""
        quarters = {} if self._quarters is None else nested("quarters", self._quarters.snapshot())
        return {**self._rings.snapshot(), **quarters}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what was held; of nothing, start afresh."""
        if "newest" not in snapshot:
            return
        self._due = None
        quarters = part("quarters", dict(snapshot))
        if self._quarters is not None and quarters:
            self._quarters.restore(quarters)
        self._rings.restore({name: array for name, array in snapshot.items() if "/" not in name})

    def _store_quarters(self, news: News) -> None:
        if self._quarters is not None and news.quarters.shape[1]:
            self._quarters.store(news.codes, news.hour, news.quarters, news.quarters_told)

    def _append(self, places: CodeArray, news: News) -> Iterator[IndexBatch]:
        """Return the values of new hours, at most a day of each series at a time."""
        day = news.hour // DAY_HOURS
        for number in np.unique(day):
            rows = np.flatnonzero(day == number)
            at, hour = places[rows], news.hour[rows]
            ends = np.ones(len(rows), np.bool_)
            ends[:-1] = at[1:] != at[:-1]
            self._rings.advance(at[ends], hour[ends])
            self._rings.store(at, hour, news.mean[rows], news.is_told[rows])
            self._store_quarters(news.take(rows))
            codes = self._rings.codes(at)
            rated = self._rated(codes, hour, self._rings.means(at, hour))
            yield self._batch(codes, hour, self._rings.publish(at, hour), rated)

    def _correct(self, places: CodeArray, news: News) -> Iterator[IndexBatch]:
        """Return the values that say something else now."""
        far = self._far(places, news) if self._held is not None else None
        formerly = None if far is None else self._highest(self._rings.codes(far[0]), far[1])
        turn = _turns(places)
        for number in range(int(turn.max(initial=-1)) + 1):
            rows = np.flatnonzero(turn == number)
            yield self._near(places[rows], news.take(rows))
        if far is not None and formerly is not None:
            yield self._corrected_far(news, *far, formerly)

    def _concerned(
        self, places: CodeArray, hour: Int64Array
    ) -> tuple[npt.NDArray[np.int64], Int64Array, BoolArray]:
        """Return row and end of the values some hours belong to, and which lie within a day."""
        last = hour[:, None] + np.arange(self._span)
        row, step = np.nonzero(last <= self._rings.newest(places)[:, None])
        last = last[row, step]
        return row, last, last > self._rings.newest(places)[row] - DAY_HOURS

    def _near(self, places: CodeArray, news: News) -> IndexBatch:
        """Store an hour of each series, and return the values of the last day that it changes."""
        row, last, near = self._concerned(places, news.hour)
        row, last = row[near], last[near]
        at = places[row]
        codes = self._rings.codes(at)
        published = self._rings.published(at, last)
        reached = news.hour + self._outlasts[self._reader.pollutants(news.codes)]
        needed = (last <= reached[row]) & news.is_told[row]
        before = self._rated(codes, last, self._rings.means(at, last))
        told = news.is_told
        self._rings.store(places[told], news.hour[told], news.mean[told], told[told])
        self._store_quarters(news)
        after = self._rated(codes, last, self._rings.means(at, last))
        new = np.flatnonzero((published & after.differs(before)) | (needed & ~published))
        at, last = at[new], last[new]
        return self._batch(codes[new], last, self._rings.publish(at, last), after.at(new))

    def _far(self, places: CodeArray, news: News) -> tuple[CodeArray, Int64Array] | None:
        """Return places and ends of the values further back than a day that hours belong to."""
        row, last, near = self._concerned(places, news.hour)
        row, last = row[~near], last[~near]
        recent = last > self._rings.newest(places)[row] - self._rules.corrected_hours
        pairs = np.unique(np.stack([places[row[recent]].astype(np.int64), last[recent]]), axis=1)
        if not pairs.size:
            return None
        return pairs[0].astype(np.int32), pairs[1]

    def _corrected_far(
        self, news: News, places: CodeArray, last: Int64Array, formerly: FloatArray
    ) -> IndexBatch:
        """Return the values further back than a day that differ, now and before the correction."""
        if self._held is None:
            return IndexBatch.empty()
        codes, reach = self._rings.codes(places), self._rings.reach
        pollutant = self._reader.pollutants(codes)
        hours = last[:, None] - np.arange(self._span)
        now = Lookup.of(self._held.hours, codes, hours)
        then = Lookup.of(self._held.former_hours, codes, hours)
        means = now.column(self._rules.valid_means(now.windows), np.nan)
        is_news = located(news.codes[news.is_told], news.hour[news.is_told], codes, hours)[1]
        replaced = then.column(self._rules.valid_means(then.windows), np.nan)
        former = np.where(is_news, replaced, means)
        after = self._rated(codes, last, means[:, :reach])
        before = self._weighed(LastHours(codes, pollutant, former[:, :reach], formerly))
        lasting = np.arange(self._span) <= self._outlasts[pollutant][:, None]
        is_needed = (now.there & lasting).any(axis=1)
        was_needed = (now.there & lasting & (~is_news | then.there)).any(axis=1)
        new = np.flatnonzero(is_needed & (~was_needed | after.differs(before)))
        told = now.column(now.windows.revision.astype(np.float64) + 1, 0.0)
        revision = MOST_NEAR + told.sum(axis=1)[new]
        return self._batch(codes[new], last[new], revision.astype(np.int32), after.at(new))

    def _highest(self, codes: CodeArray, hour: Int64Array) -> FloatArray:
        if self._quarters is None:
            return np.full(len(codes), np.nan)
        return self._quarters.highest(codes, hour)

    def _rated(self, codes: CodeArray, last: Int64Array, means: FloatArray) -> Rated:
        highest = self._highest(codes, last)
        return self._weighed(LastHours(codes, self._reader.pollutants(codes), means, highest))

    def _weighed(self, last: LastHours) -> Rated:
        """Return what the index says of hours given at other conditions than those of its table."""
        return last.weighed(self._rate, self._to_eu[last.pollutant])

    def _batch(
        self, codes: CodeArray, last: Int64Array, revision: npt.NDArray[np.int32], rated: Rated
    ) -> IndexBatch:
        return IndexBatch(
            series=codes,
            index=np.full(len(codes), self._number, np.uint8),
            end=(last + 1) * HOUR_NS,
            revision=revision,
            coverage=rated.coverage,
            table=rated.table,
            **rated.values._asdict(),
        )


def _spans(first: Int64Array, last: Int64Array) -> tuple[npt.NDArray[np.int64], Int64Array]:
    """Return row and hour of all hours from the first to the last of each row."""
    count = np.maximum(last - first + 1, 0)
    row = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, first[row] + step


def _turns(places: CodeArray) -> npt.NDArray[np.int64]:
    """Return how many rows of the same place come before each; places are sorted together."""
    starts = np.ones(len(places), np.bool_)
    starts[1:] = places[1:] != places[:-1]
    first = np.maximum.accumulate(np.where(starts, np.arange(len(places)), 0))
    turns: npt.NDArray[np.int64] = np.arange(len(places)) - first
    return turns


def _newest_only(batch: IndexBatch) -> IndexBatch:
    """Keep only the newest revision of each value, in order of series and time."""
    order = np.lexsort((batch.revision, batch.end, batch.series))
    series, end = batch.series[order], batch.end[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (series[1:] != series[:-1]) | (end[1:] != end[:-1])
    return batch.take(order[last])
