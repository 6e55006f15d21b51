# SPDX-License-Identifier: EUPL-1.2
"""The estimate of clock skew: the quickest readings count, wherever batches are cut."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.clock_skew import ClockBatch
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import BAD_TIME, DAY_NS, HOUR_NS, MINUTE_NS, NO_TIME, SECOND_NS
from processors.skew import NEEDED, SPAN_NS, SPANS, Estimates, SkewEstimate
from tests.processor_conformance import assert_same

START = 1_790_000_000 * SECOND_NS // DAY_NS * DAY_NS
COUNT = 3
Reading = tuple[int, int, int]
"""Series, lag and receipt after the start, ns."""


def estimate() -> SkewEstimate:
    """Return an estimate over a few series."""
    return SkewEstimate(SeriesTable(SeriesKey(f"aq-{code}", "pm10") for code in range(COUNT)))


def hear(skew: SkewEstimate, rows: list[Reading]) -> None:
    """Take in readings."""
    columns = np.array(rows, np.int64).reshape(-1, 3)
    received = START + columns[:, 2]
    skew.hear(columns[:, 0].astype(np.int32), received - columns[:, 1], received)


def every_minute(
    lag_ns: int, minutes: range, series: int = 0, *, jitter_ns: int = 0
) -> list[Reading]:
    """Return a reading a minute of one series, each second one later than the other."""
    return [(series, lag_ns + minute % 2 * jitter_ns, minute * MINUTE_NS) for minute in minutes]


def after(skew: SkewEstimate, minute: int) -> Estimates:
    """Let time pass."""
    return skew.advance(START + minute * MINUTE_NS)


def numbers(batch: ClockBatch) -> list[tuple[int, ...]]:
    """Return the rows of a batch."""
    return list(zip(*(getattr(batch, name).tolist() for name in ClockBatch.dtypes()), strict=True))


@dataclass
class Plain:
    """The estimate as a plain loop over readings."""

    span: int = 0
    open: dict[int, int] = field(default_factory=dict)
    lags: dict[int, list[int]] = field(default_factory=dict)
    until: dict[int, int] = field(default_factory=dict)
    fresh: set[int] = field(default_factory=set)

    def begin(self, span: int) -> None:
        """Close a span."""
        if span > self.span:
            for code, lag in self.open.items():
                self.lags.setdefault(code, []).append(lag)
                self.until[code] = (self.span + 1) * SPAN_NS
                self.fresh.add(code)
            self.open = {}
            self.span = span

    def hear(self, rows: list[Reading]) -> None:
        """Take in readings."""
        for code, lag, after_start in rows:
            received = START + after_start
            self.begin(received // SPAN_NS)
            if received >= (self.span - 1) * SPAN_NS:
                self.open[code] = min(lag, self.open.get(code, lag))

    def advance(self, now: int) -> list[tuple[int, ...]]:
        """Return what rests on something new."""
        self.begin(now // SPAN_NS)
        found = []
        for code in sorted(self.fresh):
            last = sorted(self.lags[code][-SPANS:])
            if len(last) >= NEEDED:
                outer = (len(last) - 1) // 4
                spread = last[len(last) - 1 - outer] - last[outer]
                skew = last[(len(last) - 1) // 2]
                found.append((code, skew, spread, len(last), self.until[code]))
        self.fresh.clear()
        return found


STEPS = st.lists(
    st.tuples(
        st.lists(
            st.tuples(
                st.integers(0, COUNT - 1),
                st.integers(-HOUR_NS, HOUR_NS),
                st.integers(-25, 12).map(lambda minutes: minutes * MINUTE_NS),
            ),
            max_size=8,
        ),
        st.integers(0, 25),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(steps=STEPS, data=st.data())
def test_it_is_the_plain_loop_wherever_batches_are_cut_and_the_engine_is_stopped(
    steps: list[tuple[list[Reading], int]], data: st.DataObject
) -> None:
    """Between two ticks readings may come in any number of batches, old and new ones mixed."""
    skew, plain, minute = estimate(), Plain(), 60
    for rows, pause in steps:
        now = minute * MINUTE_NS
        placed = [(code, lag, now + moved) for code, lag, moved in rows]
        cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=3))
        for begin, end in itertools.pairwise(sorted({0, len(rows), *cuts})):
            hear(skew, placed[begin:end])
        plain.hear(placed)
        if data.draw(st.booleans()):
            restored = estimate()
            restored.restore(skew.snapshot())
            assert_same(restored.snapshot(), skew.snapshot())
            skew = restored
        minute += pause

        found = after(skew, minute)

        assert numbers(found.renewed) == plain.advance(START + minute * MINUTE_NS)
        assert set(numbers(found.said)) <= set(numbers(found.renewed))


def test_the_smallest_delays_count() -> None:
    """Half of the readings hang for minutes; the clock is seven seconds behind all the same."""
    skew = estimate()
    hear(skew, every_minute(7 * SECOND_NS, range(50), jitter_ns=5 * MINUTE_NS))

    (found,) = numbers(after(skew, 50).renewed)

    assert found == (0, 7 * SECOND_NS, 0, SPANS, START + 50 * MINUTE_NS)


def test_an_hour_of_buffered_readings_does_not_move_it() -> None:
    """After an outage the old readings come first, then live ones again."""
    skew = estimate()
    hear(skew, every_minute(SECOND_NS, range(30)))
    backlog = [(0, HOUR_NS - n * MINUTE_NS, 90 * MINUTE_NS + n * SECOND_NS) for n in range(59)]
    hear(skew, [*backlog, *every_minute(SECOND_NS, range(91, 100))])

    (found,) = numbers(after(skew, 100).renewed)

    assert found[1] == SECOND_NS


def test_one_strange_message_does_not_move_it() -> None:
    """A single reading from the future counts as one span of five."""
    skew = estimate()
    hear(skew, every_minute(SECOND_NS, range(41)))
    hear(skew, [(0, -2 * HOUR_NS, 42 * MINUTE_NS)])

    (found,) = numbers(after(skew, 50).renewed)

    assert found[1:3] == (SECOND_NS, 0)


def test_readings_without_a_time_say_nothing() -> None:
    """Neither an absent time nor one that is no date."""
    skew = estimate()
    received = START + np.arange(60) * MINUTE_NS
    claimed = np.where(np.arange(60) % 2, NO_TIME, BAD_TIME)
    skew.hear(np.zeros(60, np.int32), claimed, received)

    assert len(after(skew, 60).renewed) == 0

    claimed[::7] = received[::7] - SECOND_NS
    skew.hear(np.zeros(60, np.int32), claimed, received + HOUR_NS)
    (found,) = numbers(after(skew, 120).renewed)
    assert found[1] == HOUR_NS + SECOND_NS


def test_what_was_received_long_ago_says_nothing() -> None:
    """Messages read again out of quarantine."""
    skew = estimate()
    hear(skew, every_minute(SECOND_NS, range(60), series=1))
    hear(skew, every_minute(SECOND_NS, range(40), series=0))

    assert [row[0] for row in numbers(after(skew, 60).renewed)] == [1]


def test_nothing_is_said_before_there_are_three_spans() -> None:
    """Two are no majority."""
    skew = estimate()
    hear(skew, every_minute(SECOND_NS, range(20)))

    assert len(after(skew, 20).renewed) == 0


def test_a_clock_is_told_once_until_it_changes_noticeably() -> None:
    """A second, or a twentieth of what was said; the rest is the network."""
    skew = estimate()
    said = []
    lags_s = [7.0] * 6 + [7.9] * 6 + [8.1] * 6
    for number, lag_s in enumerate(lags_s):
        lag_ns = round(lag_s * SECOND_NS)
        hear(skew, every_minute(lag_ns, range(10 * number, 10 * number + 10)))
        said += [row[1] / SECOND_NS for row in numbers(after(skew, 10 * number + 10).said)]

    assert said == [7.0, 8.1]


def test_a_clock_is_told_again_every_day() -> None:
    """So that a store built anew from the outbox knows it."""
    skew = estimate()
    said = []
    for hour in range(49):
        minutes = range(60 * hour, 60 * hour + 60)
        for minute in minutes[::10]:
            hear(skew, every_minute(SECOND_NS, range(minute, minute + 10)))
            said += [minute] * len(after(skew, minute + 10).said)

    assert said == [20, 20 + 24 * 60, 20 + 48 * 60]


def test_a_right_clock_on_an_unsteady_line_is_told_once() -> None:
    """Delays around zero say nothing that is worth an entry."""
    skew = estimate()
    chance = np.random.default_rng(3)
    said = 0
    for minute in range(10, 600, 10):
        lag = int(chance.uniform(0.0, 0.9) * SECOND_NS)
        hear(skew, every_minute(lag, range(minute, minute + 10)))
        said += len(after(skew, minute + 10).said)

    assert said == 1


def test_a_snapshot_from_before_clocks_were_looked_at_is_taken() -> None:
    """An upgrade starts without estimates."""
    skew = estimate()
    skew.restore({})
    hear(skew, every_minute(SECOND_NS, range(30)))

    assert len(after(skew, 30).renewed) == 1
